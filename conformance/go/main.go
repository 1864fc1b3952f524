// Performs calls through the AWS SDK for Go v2: a driver of the conformance tests.
//
// Usage: driver ENDPOINT. Reads one call per line and prints one answer per line, in the neutral
// form that conformance/src/driver.rs describes. Nothing here knows an operation: reflection over
// the SDK's types tells bytes from times.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

type call struct {
	Op      string          `json:"op"`
	In      json.RawMessage `json:"in"`
	Account string          `json:"account"`
	Region  string          `json:"region"`
}

type answer struct {
	Status  int     `json:"status,omitempty"`
	Out     any     `json:"out,omitempty"`
	Error   string  `json:"error,omitempty"`
	Message *string `json:"message,omitempty"`
	Trouble string  `json:"trouble,omitempty"`
}

var (
	bytesType = reflect.TypeOf([]byte(nil))
	timeType  = reflect.TypeOf(time.Time{})
	metaType  = reflect.TypeOf(middleware.Metadata{})
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for lines.Scan() {
		result := perform(os.Args[1], lines.Bytes(), false)
		if err := out.Encode(result); err != nil {
			os.Exit(1)
		}
	}
}

// perform calls once. The SDK now and then closes its own connection when an answer arrives while it
// still finishes its request, and would try again by itself; retries are off here, so reads are
// repeated once when that happens.
func perform(endpoint string, line []byte, again bool) (result answer) {
	defer func() {
		if trouble := recover(); trouble != nil {
			result = answer{Trouble: fmt.Sprint(trouble)}
		}
	}()
	var c call
	if err := json.Unmarshal(line, &c); err != nil {
		return answer{Trouble: err.Error()}
	}
	method := reflect.ValueOf(client(endpoint, c.Region)).MethodByName(c.Op)
	input := reflect.New(method.Type().In(1).Elem())
	var params any
	if err := json.Unmarshal(c.In, &params); err != nil {
		return answer{Trouble: err.Error()}
	}
	toSdk(input.Elem(), params)
	identity := func(options *kinesis.Options) {
		options.Credentials = credentials.NewStaticCredentialsProvider(c.Account, "secret", "")
	}
	results := method.Call([]reflect.Value{
		reflect.ValueOf(context.Background()), input, reflect.ValueOf(identity),
	})
	if err, failed := results[1].Interface().(error); failed {
		if errors.Is(err, net.ErrClosed) && isRead(c.Op) && !again {
			return perform(endpoint, line, true)
		}
		return fault(err)
	}
	output := results[0].Elem()
	metadata := output.FieldByName("ResultMetadata").Interface().(middleware.Metadata)
	status := 0
	if raw, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response); ok {
		status = raw.StatusCode
	}
	return answer{Status: status, Out: neutral(output)}
}

// One client per region for the whole run, as applications keep theirs.
var clients = map[string]*kinesis.Client{}

func client(endpoint, region string) *kinesis.Client {
	if clients[region] == nil {
		clients[region] = kinesis.New(kinesis.Options{
			BaseEndpoint: aws.String(endpoint),
			Region:       region,
			Retryer:      aws.NopRetryer{},
		})
	}
	return clients[region]
}

func isRead(op string) bool {
	for _, verb := range []string{"Get", "List", "Describe"} {
		if strings.HasPrefix(op, verb) {
			return true
		}
	}
	return false
}

func fault(err error) answer {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return answer{Trouble: err.Error()}
	}
	message := api.ErrorMessage()
	result := answer{Error: api.ErrorCode(), Message: &message}
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		result.Status = response.HTTPStatusCode()
	}
	return result
}

func toSdk(target reflect.Value, value any) {
	if value == nil {
		return
	}
	switch {
	case target.Type() == bytesType:
		bytes, err := base64.StdEncoding.DecodeString(value.(string))
		if err != nil {
			panic(err)
		}
		target.SetBytes(bytes)
	case target.Type() == timeType:
		millis := int64(math.Round(value.(float64) * 1000))
		target.Set(reflect.ValueOf(time.UnixMilli(millis)))
	case target.Kind() == reflect.Pointer:
		target.Set(reflect.New(target.Type().Elem()))
		toSdk(target.Elem(), value)
	case target.Kind() == reflect.Struct:
		for name, member := range value.(map[string]any) {
			field := target.FieldByName(name)
			if !field.IsValid() {
				panic("no member " + name + " in " + target.Type().Name())
			}
			toSdk(field, member)
		}
	case target.Kind() == reflect.Slice:
		items := value.([]any)
		target.Set(reflect.MakeSlice(target.Type(), len(items), len(items)))
		for i, item := range items {
			toSdk(target.Index(i), item)
		}
	case target.Kind() == reflect.Map:
		target.Set(reflect.MakeMap(target.Type()))
		for name, item := range value.(map[string]any) {
			entry := reflect.New(target.Type().Elem()).Elem()
			toSdk(entry, item)
			target.SetMapIndex(reflect.ValueOf(name), entry)
		}
	case target.Kind() == reflect.String:
		target.SetString(value.(string))
	case target.Kind() == reflect.Bool:
		target.SetBool(value.(bool))
	default:
		target.SetInt(int64(value.(float64)))
	}
}

func neutral(value reflect.Value) any {
	switch {
	case value.Type() == timeType:
		return float64(value.Interface().(time.Time).UnixMilli()) / 1000
	case value.Type() == bytesType:
		if value.IsNil() {
			return nil
		}
		return base64.StdEncoding.EncodeToString(value.Bytes())
	case value.Kind() == reflect.Pointer:
		if value.IsNil() {
			return nil
		}
		return neutral(value.Elem())
	case value.Kind() == reflect.Struct:
		members := map[string]any{}
		for i := range value.NumField() {
			field := value.Type().Field(i)
			if !field.IsExported() || field.Type == metaType {
				continue
			}
			member := neutral(value.Field(i))
			if field.Type.Kind() == reflect.String && member == "" {
				continue // an enum that was not there
			}
			if member != nil {
				members[field.Name] = member
			}
		}
		return members
	case value.Kind() == reflect.Slice:
		if value.IsNil() {
			return nil
		}
		items := make([]any, value.Len())
		for i := range items {
			items[i] = neutral(value.Index(i))
		}
		return items
	case value.Kind() == reflect.Map:
		if value.IsNil() {
			return nil
		}
		entries := map[string]any{}
		for _, key := range value.MapKeys() {
			entries[key.String()] = neutral(value.MapIndex(key))
		}
		return entries
	case value.Kind() == reflect.String:
		return value.String()
	default:
		return value.Interface()
	}
}

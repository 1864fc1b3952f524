// vmware-go-kcl-v2, an application: prints each record, checkpoints each batch, ends when its input
// ends.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/worker"
	"github.com/vmware/vmware-go-kcl-v2/logger"
)

type places struct {
	Kinesis, DynamoDB, Stream, Region, Application, Mode string
}

type line struct {
	Shard string `json:"shard"`
	Key   string `json:"key"`
	Data  string `json:"data"`
}

var printing sync.Mutex

type factory struct{}

func (factory) CreateProcessor() interfaces.IRecordProcessor { return &processor{} }

// One shard.
type processor struct{ shard string }

func (p *processor) Initialize(input *interfaces.InitializationInput) { p.shard = input.ShardId }

func (p *processor) ProcessRecords(input *interfaces.ProcessRecordsInput) {
	if len(input.Records) == 0 {
		return
	}
	printing.Lock()
	for _, record := range input.Records {
		text, _ := json.Marshal(line{p.shard, *record.PartitionKey, string(record.Data)})
		fmt.Println(string(text))
	}
	printing.Unlock()
	last := input.Records[len(input.Records)-1].SequenceNumber
	if err := input.Checkpointer.Checkpoint(last); err != nil {
		fmt.Fprintln(os.Stderr, "no checkpoint of", p.shard, err)
	}
}

func (p *processor) Shutdown(input *interfaces.ShutdownInput) {
	if input.ShutdownReason != interfaces.TERMINATE {
		return
	}
	if err := input.Checkpointer.Checkpoint(nil); err != nil {
		fmt.Fprintln(os.Stderr, "no checkpoint at the end of", p.shard, err)
	}
}

func main() {
	var at places
	if err := json.Unmarshal([]byte(os.Args[len(os.Args)-1]), &at); err != nil {
		panic(err)
	}
	keys := credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), "secret", "")
	settings := config.NewKinesisClientLibConfigWithCredential(at.Application, at.Stream, at.Region, "reader", keys).
		WithKinesisEndpoint(at.Kinesis).
		WithDynamoDBEndpoint(at.DynamoDB).
		WithInitialPositionInStream(config.TRIM_HORIZON).
		WithIdleTimeBetweenReadsInMillis(200).
		// Leases would be looked at every minute, so children would wait as long.
		WithShardSyncIntervalMillis(1000).
		WithEnhancedFanOutConsumer(at.Mode == "fan-out").
		WithLogger(logger.NewLogrusLoggerWithConfig(logger.Configuration{EnableConsole: true, ConsoleLevel: logger.Warn}))
	reader := worker.NewWorker(factory{}, settings)
	if err := reader.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	reader.Shutdown()
}

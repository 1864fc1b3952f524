//! Which stream, consumer or queue a request is about, and whether the caller may do that to it.
//!
//! Comes before any look at whether the resource exists, as on AWS. A request that names nothing
//! that could exist gets the error of that.

use std::sync::LazyLock;

use millstream_api::kinesis::{Op, Request};
use millstream_base::{ConsumerArn, QueueArn, ResourceArn, Scope, StreamArn, Tags};
use millstream_policy::rules::{FurtherRule, Rule};
use millstream_policy::tables::{Form, When};
use millstream_policy::{Action, Resource, ResourcePolicy, Value};
use millstream_streams::Guard;
use millstream_wire::ServiceError;

use super::errors::{During, of_engine};
use super::{Call, DataStreams, errors, target};
use crate::access;

/// What a request is about.
struct About<'a> {
    op: Op,
    target: Target<'a>,
    /// The stream that a queue is to read.
    source: Option<&'a str>,
    /// The consumer that is to be made.
    new_consumer: Option<&'a str>,
    tags: Option<&'a Tags>,
    tag_keys: Option<&'a [String]>,
}

/// What the action is done to.
enum Target<'a> {
    /// Nothing in particular.
    Account,
    Stream(StreamArn),
    Consumer(ConsumerArn),
    Queue(QueueArn),
    /// One that is to be made; its id is not known yet.
    NewQueue,
    NewChannel,
    Channel(&'a str),
}

/// The rules of all operations, by their places.
static RULES: LazyLock<Vec<&'static Rule>> =
    LazyLock::new(|| Op::ALL.iter().map(|op| access::rule("kinesis", op.name())).collect());

impl DataStreams {
    /// # Errors
    /// AccessDeniedException; what is wrong with the names in the request.
    pub(super) fn check_access(
        &self,
        call: &Call,
        request: Request<'_>,
    ) -> Result<(), ServiceError> {
        if call.caller.who.is_none() {
            return Ok(());
        }
        let about = self.about(call, request)?;
        let rule = RULES[about.op as usize];
        self.ask(call, &rule.action, &about.target, &about)?;
        let further = rule.further.iter().filter(|further| about.needs(further));
        for FurtherRule { action, resource, .. } in further {
            let target = about.further_target(call, *resource)?;
            self.ask(call, action, &target, &about)?;
        }
        Ok(())
    }

    fn ask(
        &self,
        call: &Call,
        action: &Action,
        target: &Target,
        about: &About,
    ) -> Result<(), ServiceError> {
        let guard = self.guard(target);
        let (arn, owner) = target.name(&call.caller.scope);
        let resource = Resource { arn: &arn, owner };
        let policy = guard.policy().map_or(ResourcePolicy::None, ResourcePolicy::Grants);
        let mut context = access::context();
        if let Some(tags) = guard.tags() {
            context.set_tags("aws:ResourceTag", tags);
        }
        if let Some(tags) = about.tags {
            context.set_tags("aws:RequestTag", tags);
            context.set("aws:TagKeys", Value::Many(tags.keys().map(Into::into).collect()));
        }
        if let Some(keys) = about.tag_keys {
            context.set("aws:TagKeys", Value::Many(keys.iter().map(Into::into).collect()));
        }
        access::allowed(call, action, resource, policy, context).map_err(errors::access_denied)
    }

    fn guard(&self, target: &Target) -> Guard {
        match target {
            Target::Stream(stream) => self.engine.guard(&ResourceArn::Stream(stream.clone())),
            Target::Consumer(consumer) => {
                self.engine.guard(&ResourceArn::Consumer(consumer.clone()))
            }
            Target::Queue(queue) => self.engine.guard_queue(queue),
            Target::Account | Target::NewQueue | Target::NewChannel | Target::Channel(_) => {
                Guard::default()
            }
        }
    }

    fn consumer<'a>(
        &self,
        stream: Option<&str>,
        name: Option<&str>,
        arn: Option<&str>,
    ) -> Result<Target<'a>, ServiceError> {
        let named = target::consumer(stream, name, arn)?;
        let consumer = match named.created_secs {
            Some(created_secs) => Some(ConsumerArn {
                stream: named.stream.clone(),
                name: named.name.clone(),
                created_secs,
            }),
            None => self.engine.consumer_named(&named.stream, &named.name),
        };
        // One that is not there has no policy and no tags, only a name.
        let none = || ConsumerArn { stream: named.stream, name: named.name, created_secs: 0 };
        Ok(Target::Consumer(consumer.unwrap_or_else(none)))
    }

    /// The stream that an iterator reads.
    fn iterated<'a>(&self, iterator: &str) -> Result<Target<'a>, ServiceError> {
        let stream = self.engine.iterator_stream(iterator);
        stream.map(Target::Stream).map_err(|e| of_engine(e, During::GetRecords))
    }

    /// The stream of a page of shards.
    fn listed<'a>(
        &self,
        call: &Call,
        token: &Option<String>,
        name: &Option<String>,
        arn: &Option<String>,
    ) -> Result<Target<'a>, ServiceError> {
        match token {
            Some(token) => {
                let stream = self.engine.next_token_stream(token);
                stream.map(Target::Stream).map_err(|e| of_engine(e, During::Control))
            }
            None if name.is_none() && arn.is_none() => Err(errors::next_token_or_stream()),
            None => stream(call, name, arn),
        }
    }
}

/// Of what a request may name, by the members' names of the model.
macro_rules! about {
    ($request:expr; $($op:ident $i:ident: $target:expr $(, $member:ident = $value:expr)*;)*) => {
        match $request {$(
            Request::$op($i) => {
                let mut about = About {
                    op: Op::$op,
                    target: $target,
                    source: None,
                    new_consumer: None,
                    tags: None,
                    tag_keys: None,
                };
                $(about.$member = $value;)*
                let _ = (&mut about, $i);
                about
            }
        )*}
    };
}

impl DataStreams {
    fn about<'a>(&self, call: &Call, request: Request<'a>) -> Result<About<'a>, ServiceError> {
        Ok(about! { request;
            AddTagsToStream i: stream(call, &i.stream_name, &i.stream_arn)?, tags = Some(&i.tags);
            CreateStream i: named(call, &i.stream_name)?, tags = i.tags.as_ref();
            DecreaseStreamRetentionPeriod i: stream(call, &i.stream_name, &i.stream_arn)?;
            DeleteStream i: stream(call, &i.stream_name, &i.stream_arn)?;
            DescribeStream i: stream(call, &i.stream_name, &i.stream_arn)?;
            DescribeStreamSummary i: stream(call, &i.stream_name, &i.stream_arn)?;
            DisableEnhancedMonitoring i: stream(call, &i.stream_name, &i.stream_arn)?;
            EnableEnhancedMonitoring i: stream(call, &i.stream_name, &i.stream_arn)?;
            GetRecords i: self.iterated(&i.shard_iterator)?;
            GetShardIterator i: stream(call, &i.stream_name, &i.stream_arn)?;
            IncreaseStreamRetentionPeriod i: stream(call, &i.stream_name, &i.stream_arn)?;
            ListShards i: self.listed(call, &i.next_token, &i.stream_name, &i.stream_arn)?;
            ListStreamConsumers i: by_arn(&i.stream_arn)?;
            ListTagsForStream i: stream(call, &i.stream_name, &i.stream_arn)?;
            MergeShards i: stream(call, &i.stream_name, &i.stream_arn)?;
            PutRecord i: stream(call, &i.stream_name, &i.stream_arn)?;
            PutRecords i: stream(call, &i.stream_name, &i.stream_arn)?;
            RemoveTagsFromStream i: stream(call, &i.stream_name, &i.stream_arn)?,
                tag_keys = Some(&i.tag_keys);
            SplitShard i: stream(call, &i.stream_name, &i.stream_arn)?;
            StartStreamEncryption i: stream(call, &i.stream_name, &i.stream_arn)?;
            StopStreamEncryption i: stream(call, &i.stream_name, &i.stream_arn)?;
            UpdateMaxRecordSize i: stream(call, &None, &i.stream_arn)?;
            UpdateShardCount i: stream(call, &i.stream_name, &i.stream_arn)?;
            UpdateStreamMode i: by_arn(&i.stream_arn)?;
            UpdateStreamRecordDistributionStrategy i: by_arn(&i.stream_arn)?;
            UpdateStreamWarmThroughput i: stream(call, &i.stream_name, &i.stream_arn)?;

            RegisterStreamConsumer i: by_arn(&i.stream_arn)?,
                new_consumer = Some(&i.consumer_name), tags = i.tags.as_ref();
            DeregisterStreamConsumer i: self.consumer(
                i.stream_arn.as_deref(), i.consumer_name.as_deref(), i.consumer_arn.as_deref())?;
            DescribeStreamConsumer i: self.consumer(
                i.stream_arn.as_deref(), i.consumer_name.as_deref(), i.consumer_arn.as_deref())?;
            SubscribeToShard i: self.consumer(None, None, Some(&i.consumer_arn))?;

            CreateQueue i: Target::NewQueue, tags = i.tags.as_ref(),
                source = i.stream_configuration_list.first().map(|s| &*s.stream_arn);
            AcknowledgeDeadLetterQueueRecords i: queue(&i.queue_arn)?;
            AcknowledgeQueueRecords i: queue(&i.queue_arn)?;
            DeleteQueue i: queue(&i.queue_arn)?;
            DescribeQueue i: queue(&i.queue_arn)?;
            ReceiveDeadLetterQueueRecords i: queue(&i.queue_arn)?;
            ReceiveQueueRecords i: queue(&i.queue_arn)?;
            RestoreDeadLetterQueueRecords i: queue(&i.queue_arn)?;
            UpdateDeadLetterQueueRecordsVisibility i: queue(&i.queue_arn)?;
            UpdateQueue i: queue(&i.queue_arn)?;
            UpdateQueueRecordsVisibility i: queue(&i.queue_arn)?;

            CreateChannel i: Target::NewChannel, tags = i.tags.as_ref();
            DeleteChannel i: Target::Channel(&i.channel_arn);
            DescribeChannel i: Target::Channel(&i.channel_arn);
            UpdateChannel i: Target::Channel(&i.channel_arn);

            DeleteResourcePolicy i: resource(&i.resource_arn)?;
            GetResourcePolicy i: resource(&i.resource_arn)?;
            ListTagsForResource i: resource(&i.resource_arn)?;
            PutResourcePolicy i: resource(&i.resource_arn)?;
            TagResource i: resource(&i.resource_arn)?, tags = Some(&i.tags);
            UntagResource i: resource(&i.resource_arn)?, tag_keys = Some(&i.tag_keys);

            DescribeAccountSettings i: Target::Account;
            DescribeLimits i: Target::Account;
            ListChannels i: Target::Account;
            ListQueues i: Target::Account;
            ListStreams i: Target::Account;
            UpdateAccountSettings i: Target::Account;
        })
    }
}

impl<'a> About<'a> {
    fn needs(&self, further: &FurtherRule) -> bool {
        match further.when {
            When::Always => true,
            When::Tags => self.tags.is_some_and(|tags| !tags.is_empty()),
            // Only channels name roles, and there are none yet.
            When::Role => false,
        }
    }

    /// What a further action is done to: what the request makes, or what that reads.
    fn further_target(&self, call: &Call, form: Form) -> Result<Target<'a>, ServiceError> {
        match (form, &self.target, self.source, self.new_consumer) {
            (Form::Stream, _, Some(source), _) => by_arn(source),
            (Form::Stream, Target::Stream(stream), ..) => Ok(Target::Stream(stream.clone())),
            (Form::Consumer, Target::Stream(stream), _, Some(name)) => {
                let (stream, name) = (stream.clone(), target::consumer_name(name)?);
                Ok(Target::Consumer(ConsumerArn { stream, name, created_secs: 0 }))
            }
            (Form::Queue, ..) => Ok(Target::NewQueue),
            (Form::Channel, ..) => Ok(Target::NewChannel),
            _ => {
                tracing::error!(op = self.op.name(), id = %call.id, ?form, "no such resource");
                Err(ServiceError::internal_failure(errors::INTERNAL_FAILURE_SENTENCE))
            }
        }
    }
}

impl Target<'_> {
    /// As policies name it, and whose it is.
    fn name(&self, caller: &Scope) -> (String, Option<millstream_base::AccountId>) {
        let own = |what: &str| {
            let (region, account) = (&caller.region, caller.account);
            let arn = format!("arn:{}:kinesis:{region}:{account}:{what}", region.partition());
            (arn, Some(account))
        };
        match self {
            Target::Account => ("*".to_owned(), None),
            Target::Stream(stream) => (stream.to_string(), Some(stream.account())),
            Target::Consumer(consumer) => (consumer.to_string(), Some(consumer.stream.account())),
            Target::Queue(queue) => (queue.to_string(), Some(queue.scope.account)),
            Target::NewQueue => own("queue/*"),
            Target::NewChannel => own("channel/*"),
            Target::Channel(arn) => ((*arn).to_owned(), Resource::of(arn).owner),
        }
    }
}

fn stream<'a>(
    call: &Call,
    name: &Option<String>,
    arn: &Option<String>,
) -> Result<Target<'a>, ServiceError> {
    target::stream(call, name.as_deref(), arn.as_deref()).map(Target::Stream)
}

fn named<'a>(call: &Call, name: &str) -> Result<Target<'a>, ServiceError> {
    target::stream(call, Some(name), None).map(Target::Stream)
}

fn by_arn<'a>(arn: &str) -> Result<Target<'a>, ServiceError> {
    target::arn(arn).map(Target::Stream)
}

fn queue<'a>(arn: &str) -> Result<Target<'a>, ServiceError> {
    super::queues::arn(arn).map(Target::Queue)
}

/// What a `ResourceARN` names.
fn resource<'a>(arn: &str) -> Result<Target<'a>, ServiceError> {
    if let Ok(queue) = QueueArn::parse(arn) {
        return Ok(Target::Queue(queue));
    }
    Ok(match target::policy_holder(arn)? {
        ResourceArn::Stream(stream) => Target::Stream(stream),
        ResourceArn::Consumer(consumer) => Target::Consumer(consumer),
    })
}

//! Which action each operation is, on which resource, and which condition keys it brings.
//!
//! Source: AWS's service authorization reference, one page per service (read 2026); what it does
//! not have yet (queues and channels of Data Streams) follows from the API reference of 2026.
//!
//! An operation that is not in here is allowed to nobody: who adds one adds its row, which a test
//! of the server asks for.

mod control;
mod identity;
mod keys;
mod streams;

/// When a further action is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// The request brings tags for what it makes.
    Tags,
    /// The request names a role that the service shall take on.
    Role,
}

/// The kinds of resources that actions are done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// None: policies say `*`.
    Any,
    Stream,
    Consumer,
    Queue,
    Channel,
    /// Whatever the request's `ResourceARN` names.
    Named,
    User,
    Group,
    Role,
    ManagedPolicy,
    Provider,
    Key,
    Alias,
}

impl Form {
    /// The form of its ARNs.
    pub fn arn_form(self) -> &'static str {
        match self {
            Form::Any => "*",
            Form::Stream => "arn:PARTITION:kinesis:REGION:ACCOUNT:stream/NAME",
            Form::Consumer => {
                "arn:PARTITION:kinesis:REGION:ACCOUNT:stream/NAME/consumer/NAME:SECONDS"
            }
            Form::Queue => "arn:PARTITION:kinesis:REGION:ACCOUNT:queue/ID",
            Form::Channel => "arn:PARTITION:kinesis:REGION:ACCOUNT:channel/ID",
            Form::Named => "the request's ResourceARN",
            Form::User => "arn:PARTITION:iam::ACCOUNT:user/PATH/NAME",
            Form::Group => "arn:PARTITION:iam::ACCOUNT:group/PATH/NAME",
            Form::Role => "arn:PARTITION:iam::ACCOUNT:role/PATH/NAME",
            Form::ManagedPolicy => "arn:PARTITION:iam::ACCOUNT:policy/PATH/NAME",
            Form::Provider => "arn:PARTITION:iam::ACCOUNT:oidc-provider/HOST",
            Form::Key => "arn:PARTITION:kms:REGION:ACCOUNT:key/ID",
            Form::Alias => "arn:PARTITION:kms:REGION:ACCOUNT:alias/NAME",
        }
    }
}

/// The actions of our services, as service and name: those of operations and further ones.
pub fn actions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of = |service: &'static Service| {
        let renamed = service.renamed.iter().map(|(_, action)| *action);
        let operations = service.groups.iter().flat_map(|group| group.operations).copied();
        let all = operations.chain(renamed).chain(service.others.iter().copied());
        all.map(|name| (service.prefix, name))
    };
    SERVICES.into_iter().flat_map(of)
}

pub(crate) static SERVICES: [&Service; 6] = [
    &streams::KINESIS,
    &control::CLOUDWATCH,
    &control::CLOUDTRAIL,
    &identity::IAM,
    &identity::STS,
    &keys::KMS,
];

/// The table of one service.
pub(crate) struct Service {
    /// Before the colon of its actions.
    pub(crate) prefix: &'static str,
    pub(crate) groups: &'static [Group],
    /// Operations whose action is called otherwise.
    pub(crate) renamed: &'static [(&'static str, &'static str)],
    pub(crate) further: &'static [Further],
    /// Actions that are no operation, or one that is not here.
    pub(crate) others: &'static [&'static str],
}

/// Operations on the same kind of resource, with the same keys.
pub(crate) struct Group {
    pub(crate) resource: Form,
    pub(crate) keys: &'static [&'static str],
    pub(crate) operations: &'static [&'static str],
}

pub(crate) struct Further {
    pub(crate) operation: &'static str,
    pub(crate) when: When,
    pub(crate) action: &'static str,
    pub(crate) resource: Form,
}

/// Keys of requests that bring tags, and of those that take tags away.
const TAGS: &[&str] = &["aws:RequestTag", "aws:TagKeys"];
const TAG_KEYS: &[&str] = &["aws:TagKeys"];

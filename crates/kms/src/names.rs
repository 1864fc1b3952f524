//! How keys are named: by id, by ARN, and by alias.

use std::fmt;
use std::str::FromStr;

use millstream_base::{Arn, Region, Scope};

/// A key's id: a UUID. Unique in its account and region, and practically everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// A UUID of version 4 out of 16 random bytes.
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        KeyId(bytes)
    }
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        KeyId(bytes)
    }
    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = ();

    /// Reads `1234abcd-12ab-34cd-56ef-1234567890ab`, in this form only.
    fn from_str(text: &str) -> Result<Self, ()> {
        let well_formed = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
            });
        if !well_formed {
            return Err(());
        }
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let number = u128::from_str_radix(&digits, 16).map_err(drop)?;
        Ok(KeyId(number.to_be_bytes()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key's whole name: `arn:aws:kms:REGION:ACCOUNT:key/ID`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyArn {
    pub scope: Scope,
    pub id: KeyId,
}

impl KeyArn {
    pub fn new(scope: Scope, id: KeyId) -> Self {
        KeyArn { scope, id }
    }

    /// Reads what [`KeyArn`] prints.
    pub fn parse(text: &str) -> Option<Self> {
        let arn = Arn::parse(text).ok()?;
        let id = arn.resource.strip_prefix("key/")?.parse().ok()?;
        let region = Region::new(arn.region).ok()?;
        let fits = arn.service == "kms" && arn.partition == region.partition();
        fits.then(|| KeyArn::new(Scope::new(arn.account, region), id))
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}key/{}", prefix(&self.scope), self.id)
    }
}

impl fmt::Debug for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A name for a key, which can be moved to another: `alias/NAME`, in its account and region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasName {
    pub scope: Scope,
    /// With its `alias/`.
    name: String,
}

impl AliasName {
    /// Source: service model, AliasName: up to 256 of `a-z A-Z 0-9 : / _ -`. A colon is in the
    /// pattern and still refused by AWS; here too, since it would cut an ARN.
    pub fn new(scope: Scope, name: &str) -> Option<Self> {
        let bare = name.strip_prefix(PREFIX)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/_-".contains(&b);
        let fits = !bare.is_empty() && name.len() <= 256 && bare.bytes().all(allowed);
        fits.then(|| AliasName { scope, name: name.to_owned() })
    }

    /// `alias/NAME`.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Aliases of keys that services make for themselves.
    pub fn is_reserved(&self) -> bool {
        self.name.starts_with("alias/aws/")
    }

    pub fn arn(&self) -> String {
        format!("{}{}", prefix(&self.scope), self.name)
    }
}

const PREFIX: &str = "alias/";

fn prefix(scope: &Scope) -> String {
    format!("arn:{}:kms:{}:{}:", scope.region.partition(), scope.region, scope.account)
}

/// A key as a caller names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyName {
    Key(KeyArn),
    Alias(AliasName),
}

/// A text that names no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameProblem {
    /// Neither an id nor an alias nor an ARN.
    KeyId(String),
    /// An ARN, and not one of a key or alias.
    Arn(String),
    /// The ARN of a key of another region than the call's.
    Region(String),
    /// A multi-Region key, of which there are none here; with its ARN.
    MultiRegion(String),
}

impl KeyName {
    /// Reads a key's id or ARN, an alias or an alias's ARN. What has no account and region of its
    /// own is of `scope`, the caller's.
    ///
    /// # Errors
    /// [`NameProblem`].
    pub fn parse(scope: &Scope, text: &str) -> Result<Self, NameProblem> {
        if text.starts_with("arn:") {
            return KeyName::parse_arn(scope, text);
        }
        KeyName::in_scope(scope, text).ok_or_else(|| match is_multi_region(text) {
            true => NameProblem::MultiRegion(format!("{}key/{text}", prefix(scope))),
            false => NameProblem::KeyId(text.to_owned()),
        })
    }

    fn parse_arn(scope: &Scope, text: &str) -> Result<Self, NameProblem> {
        let wrong = || NameProblem::Arn(text.to_owned());
        let arn = Arn::parse(text).map_err(|_| wrong())?;
        let region = Region::new(arn.region).map_err(|_| wrong())?;
        if arn.service != "kms" || arn.partition != region.partition() {
            return Err(wrong());
        }
        if region != scope.region {
            return Err(NameProblem::Region(region.to_string()));
        }
        let owner = Scope::new(arn.account, region);
        let resource = arn.resource.strip_prefix("key/").unwrap_or(arn.resource);
        match KeyName::in_scope(&owner, resource) {
            Some(name @ KeyName::Alias(_)) if arn.resource.starts_with(PREFIX) => Ok(name),
            Some(name @ KeyName::Key(_)) if arn.resource.starts_with("key/") => Ok(name),
            _ if is_multi_region(resource) => Err(NameProblem::MultiRegion(text.to_owned())),
            _ => Err(wrong()),
        }
    }

    fn in_scope(scope: &Scope, text: &str) -> Option<Self> {
        match text.starts_with(PREFIX) {
            true => AliasName::new(scope.clone(), text).map(KeyName::Alias),
            false => text.parse().ok().map(|id| KeyName::Key(KeyArn::new(scope.clone(), id))),
        }
    }
}

/// `mrk-` and 32 hexadecimal digits.
fn is_multi_region(text: &str) -> bool {
    text.strip_prefix("mrk-")
        .is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use millstream_base::AccountId;

    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    fn scope() -> Scope {
        Scope::new(AccountId::DEFAULT, Region::new("eu-west-1").unwrap())
    }

    #[test]
    fn keys_are_named_in_five_forms() {
        let key = KeyName::Key(KeyArn::new(scope(), ID.parse().unwrap()));
        let arn = format!("arn:aws:kms:eu-west-1:000000000000:key/{ID}");
        assert_eq!(KeyName::parse(&scope(), ID), Ok(key.clone()));
        assert_eq!(KeyName::parse(&scope(), &arn), Ok(key));
        let alias = AliasName::new(scope(), "alias/mine/1").unwrap();
        assert_eq!(KeyName::parse(&scope(), "alias/mine/1"), Ok(KeyName::Alias(alias.clone())));
        assert_eq!(KeyName::parse(&scope(), &alias.arn()), Ok(KeyName::Alias(alias)));
        let managed = AliasName::new(scope(), "alias/aws/kinesis").unwrap();
        assert!(managed.is_reserved());
        let other = "arn:aws:kms:eu-west-1:000000000007:alias/mine";
        let Ok(KeyName::Alias(other)) = KeyName::parse(&scope(), other) else { panic!("{other}") };
        assert_eq!(other.scope.account, AccountId::new("000000000007").unwrap());
    }

    #[test]
    fn what_names_no_key_is_told_apart() {
        let problem = |text: &str| KeyName::parse(&scope(), text).unwrap_err();
        for text in ["", "mine", "alias/", "alias/a b", "134f2428cec14b25a1ae9048164dba47"] {
            assert_eq!(problem(text), NameProblem::KeyId(text.to_owned()));
        }
        for text in [
            "arn:aws:kms:eu-west-1:000000000000:key/mine",
            "arn:aws:kms:eu-west-1:000000000000:key/alias/mine",
            &format!("arn:aws:kms:eu-west-1:000000000000:{ID}"),
            "arn:aws:s3:eu-west-1:000000000000:alias/mine",
            "arn:aws-cn:kms:eu-west-1:000000000000:alias/mine",
            "arn:aws:kms",
        ] {
            assert_eq!(problem(text), NameProblem::Arn(text.to_owned()));
        }
        let abroad = format!("arn:aws:kms:us-east-1:000000000000:key/{ID}");
        assert_eq!(problem(&abroad), NameProblem::Region("us-east-1".to_owned()));
        let multi = "mrk-1234abcd12ab34cd56ef1234567890ab";
        let arn = format!("arn:aws:kms:eu-west-1:000000000000:key/{multi}");
        assert_eq!(problem(multi), NameProblem::MultiRegion(arn));
    }

    #[test]
    fn ids_print_as_they_were_read_and_random_ones_are_uuids() {
        assert_eq!(ID.parse::<KeyId>().unwrap().to_string(), ID);
        let random = KeyId::from_random([0xff; 16]).to_string();
        assert_eq!(random, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}

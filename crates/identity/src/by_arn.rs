//! Who an ARN names: for callers that something else than an access key has proven, such as a client
//! certificate.

use std::sync::Arc;

use millstream_base::Arn;
use millstream_policy::Principal;

use crate::engine::Identities;
use crate::entities::Subject;
use crate::find::Stranger;
use crate::model::Kind;
use crate::who::Authenticated;

impl Identities {
    /// The user of this ARN; or the role of this ARN in a session called `session_name`.
    ///
    /// # Errors
    /// [`Stranger::Unknown`]: there is neither now.
    pub fn find_by_arn(
        &self,
        arn: &str,
        session_name: &str,
    ) -> Result<Arc<Authenticated>, Stranger> {
        let parsed = Arn::parse(arn).map_err(|_| Stranger::Unknown)?;
        let (kind, path) = parsed.resource.split_once('/').ok_or(Stranger::Unknown)?;
        let kinds = [Kind::User, Kind::Role];
        let kind = kinds.into_iter().find(|k| k.name() == kind).ok_or(Stranger::Unknown)?;
        let name = path.rsplit('/').next().unwrap_or_default();
        let held = self.entity(Subject::new(parsed.account, kind, name));
        let held = held.ok().filter(|held| held.arn() == arn).ok_or(Stranger::Unknown)?;
        let resolved = self.inner.directory.resolve(&held);
        if let Some(who) = &resolved.who {
            return Ok(who.clone());
        }
        let tags = held.entity.tags.clone();
        let principal =
            Principal::assumed_role(parsed.account, arn, &held.entity.id, session_name, tags);
        Ok(Arc::new(Authenticated { principal, rights: resolved.rights.clone(), session: None }))
    }
}

//! What the services of a repository are called, beside those of other repositories.

use std::collections::BTreeSet;

/// Names for the parts of one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// The whole, where a tag names no part.
    pub base: String,
    /// A person named it: then every tag is this service's.
    pub given: bool,
    /// Services that this repository had before: it keeps them.
    pub own: BTreeSet<String>,
    /// Services of other repositories.
    pub taken: BTreeSet<String>,
    /// What tells this repository from others of the same name, from short to long: `acme/api`,
    /// `github.com/acme/api`, `api~0a1b2c3`. The last one is nobody else's.
    pub qualified: Vec<String>,
}

impl Naming {
    /// The whole repository as a service.
    pub fn whole(&self) -> String {
        if self.given {
            return self.base.clone();
        }
        self.free(&self.base, self.qualified.iter().cloned())
    }

    /// The service of a tag that names this part, or none.
    pub fn service_of(&self, owner: Option<&str>) -> String {
        match owner {
            Some(owner) if !self.given && owner != self.base => {
                let qualified = self.qualified.iter();
                self.free(owner, qualified.map(|name| format!("{name}/{owner}")))
            }
            _ => self.whole(),
        }
    }

    /// Of the names in order of preference, the one that is ours already, else the first free one.
    fn free(&self, short: &str, qualified: impl Iterator<Item = String>) -> String {
        let mut names = vec![short.to_owned()];
        names.extend(qualified);
        let is_own = |name: &&String| self.own.contains(*name);
        let is_free = |name: &&String| !self.taken.contains(*name);
        names
            .iter()
            .rev()
            .find(is_own)
            .or_else(|| names.iter().find(is_free))
            .or(names.last())
            .cloned()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_name_of_another_repository_is_not_taken() {
        let mut naming = Naming {
            base: "api".to_owned(),
            qualified: ["acme/api", "github.com/acme/api", "api~0a1b2c3"]
                .map(str::to_owned)
                .to_vec(),
            ..Naming::default()
        };
        assert_eq!(naming.service_of(None), "api");
        assert_eq!(naming.service_of(Some("mail")), "mail");
        assert_eq!(naming.service_of(Some("api")), "api");
        naming.taken = set(&["api", "mail"]);
        assert_eq!(naming.service_of(None), "acme/api");
        assert_eq!(naming.service_of(Some("mail")), "acme/api/mail");
        naming.taken = set(&["api", "acme/api", "mail", "acme/api/mail"]);
        assert_eq!(naming.service_of(None), "github.com/acme/api");
        assert_eq!(naming.service_of(Some("mail")), "github.com/acme/api/mail");
        // What it had it keeps, whether the other one came later or went away.
        naming.own = set(&["api"]);
        assert_eq!(naming.service_of(None), "api");
        naming.own = set(&["acme/api"]);
        naming.taken = set(&[]);
        assert_eq!(naming.service_of(None), "acme/api");
        naming.given = true;
        naming.taken = set(&["api"]);
        assert_eq!(naming.service_of(Some("mail")), "api");
    }
}

//! The platform's signing keys: several at once while one is replaced, and those of chains and agents (docs/protocol.md).

use crate::selpay::sign::SignKey;
use crate::selpay::xml::Fields;

/// Whose messages a key signs, if not all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Those with this `sign_agentno`: the agent's key signs them.
    Agent(String),
    /// Those with this `groupno`: the chain's key signs them.
    Group(String),
}

/// Keys that sign the same messages: any of them may.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeySet {
    keys: Vec<SignKey>,
    labels: Vec<String>,
}

impl KeySet {
    /// The keys.
    pub fn keys(&self) -> &[SignKey] {
        &self.keys
    }

    /// What the key at this place is called.
    pub fn label(&self, place: usize) -> &str {
        &self.labels[place]
    }
}

/// Every key that a merchant has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Keys {
    unscoped: KeySet,
    scoped: Vec<(Scope, KeySet)>,
}

impl Keys {
    /// Adds a key with its name.
    pub fn add(&mut self, label: &str, scope: Option<Scope>, key: SignKey) {
        let set = match scope {
            None => &mut self.unscoped,
            Some(scope) => match self.scoped.iter().position(|(known, _)| *known == scope) {
                Some(place) => &mut self.scoped[place].1,
                None => {
                    self.scoped.push((scope, KeySet::default()));
                    &mut self.scoped.last_mut().expect("just pushed").1
                }
            },
        };
        set.keys.push(key);
        set.labels.push(label.to_owned());
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        let scoped = self.scoped.iter().map(|(_, set)| set.keys.len());
        self.unscoped.keys.len() + scoped.sum::<usize>()
    }

    /// What they are called.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        let sets = self.scoped.iter().map(|(_, set)| set);
        let sets = std::iter::once(&self.unscoped).chain(sets);
        sets.flat_map(|set| set.labels.iter().map(String::as_str))
    }

    /// The keys that may have signed this message. Where its agent or its chain has a key of its own, that alone.
    pub fn of(&self, fields: &Fields<'_>) -> &KeySet {
        let value = |name| fields.get(name).unwrap_or_default();
        let of = |scope: &Scope, agent_first: bool| match scope {
            Scope::Agent(agent) => agent_first && *agent == value("sign_agentno"),
            Scope::Group(group) => !agent_first && *group == value("groupno"),
        };
        let found = [true, false].into_iter().find_map(|agent_first| {
            let mut scoped = self.scoped.iter();
            scoped.find(|(scope, _)| of(scope, agent_first))
        });
        found.map_or(&self.unscoped, |(_, set)| set)
    }
}

/// One key for everything.
impl From<SignKey> for Keys {
    fn from(key: SignKey) -> Keys {
        let mut keys = Keys::default();
        keys.add("key", None, key);
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> SignKey {
        SignKey::new(text).expect("a key")
    }

    #[test]
    fn an_agents_key_signs_its_messages_then_a_chains_and_the_others_everything_else() {
        let mut keys = Keys::default();
        keys.add("old", None, key("1"));
        keys.add("new", None, key("2"));
        keys.add("chain", Some(Scope::Group("77".to_owned())), key("3"));
        keys.add("agent", Some(Scope::Agent("88".to_owned())), key("4"));
        keys.add(
            "agent's next",
            Some(Scope::Agent("88".to_owned())),
            key("5"),
        );
        let labels = |pairs: &[(&str, &str)]| {
            let fields = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let fields = fields.collect();
            keys.of(&Fields::from(&fields)).labels.clone()
        };
        assert_eq!(labels(&[]), ["old", "new"]);
        assert_eq!(labels(&[("groupno", "77")]), ["chain"]);
        assert_eq!(
            labels(&[("groupno", "77"), ("sign_agentno", "88")]),
            ["agent", "agent's next"]
        );
        assert_eq!(
            labels(&[("groupno", "99"), ("sign_agentno", "")]),
            ["old", "new"],
            "no key of their own"
        );
        assert_eq!(keys.count(), 5);
        assert_eq!(
            keys.labels().collect::<Vec<_>>(),
            ["old", "new", "chain", "agent", "agent's next"]
        );
    }
}

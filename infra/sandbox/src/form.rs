//! Form-encoded parameters as Stripe takes them: `metadata[order]=7`, `expand[]=latest_charge`. An empty value is none.

use std::collections::BTreeMap;

/// Most parameters of a call.
const MOST_PAIRS: usize = 200;

/// Parameters in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub fn parse(text: &str) -> Self {
        let Ok(mut url) = reqwest::Url::parse("http://form/") else { return Self::default() };
        url.set_query(Some(text));
        Self(url.query_pairs().take(MOST_PAIRS).map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// One parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// `true` or not.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// `name[key]=value`.
    pub fn map(&self, name: &str) -> BTreeMap<String, String> {
        let entries = self.0.iter().filter_map(|(each, value)| {
            let key = each.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
            (!key.is_empty() && !value.is_empty()).then(|| (key.to_owned(), value.clone()))
        });
        entries.collect()
    }

    /// `name[]=value` and `name[0]=value`.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let entries = self.0.iter().filter_map(|(each, value)| {
            let index = each.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
            index.bytes().all(|byte| byte.is_ascii_digit()).then_some(value.as_str())
        });
        entries.collect()
    }

    /// The first parameter that is none of these.
    pub fn unknown(&self, known: &[&str]) -> Option<&str> {
        let root = |name: &str| name.split_once('[').map_or(name.to_owned(), |(root, _)| root.to_owned());
        self.0.iter().find(|(name, _)| !known.contains(&root(name).as_str())).map(|(name, _)| name.as_str())
    }

    /// The same text for the same parameters in any order.
    pub fn canonical(&self) -> String {
        let mut pairs = self.0.clone();
        pairs.sort();
        format!("{pairs:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_escapes_and_order() {
        let form =
            Form::parse("amount=2000&metadata[user]=usr_1&metadata%5Bnote%5D=a+b%26c&expand[]=x&expand[1]=y&empty=");
        assert_eq!(form.get("amount"), Some("2000"));
        assert_eq!(form.get("empty"), None);
        assert_eq!(
            form.map("metadata").into_iter().collect::<Vec<_>>(),
            [("note".to_owned(), "a b&c".to_owned()), ("user".to_owned(), "usr_1".to_owned())]
        );
        assert_eq!(form.list("expand"), ["x", "y"]);
        assert_eq!(form.unknown(&["amount", "metadata", "expand"]), Some("empty"));
        assert_eq!(Form::parse("a=1&b=2").canonical(), Form::parse("b=2&a=1").canonical());
    }
}

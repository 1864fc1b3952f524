//! From a file, the environment and flags to one [`Config`], and errors that name the place.
//!
//! Order: defaults, then the file, then the environment, then flags; the last one wins.

use std::fmt;
use std::path::Path;

use toml::{Table, Value};

use super::Config;

/// Environment variables that start so are settings: `MILLSTREAM_<SECTION>__<KEY>`, and
/// `MILLSTREAM_<SECTION>__<TABLE>__<KEY>` in a table of a section.
pub const ENV_PREFIX: &str = "MILLSTREAM_";

/// One setting from outside the file: `path` is `section.key`, `text` a TOML value or a bare string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Where it came from, for messages: a variable's or a flag's name.
    pub source: String,
    pub path: String,
    pub text: String,
}

impl Override {
    pub fn new(source: impl Into<String>, path: &str, text: impl Into<String>) -> Self {
        Override { source: source.into(), path: path.to_owned(), text: text.into() }
    }
}

/// A configuration that can't be used: where, what, and the nearest right key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// `file.toml:3:7`, `MILLSTREAM_LIMITS__BODY_BYTES_MAX`, `--listen`.
    pub place: String,
    pub what: String,
    pub nearest: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)?;
        match &self.nearest {
            Some(key) => write!(f, "; did you mean `{key}`?"),
            None => Ok(()),
        }
    }
}
impl std::error::Error for ConfigError {}

impl Config {
    /// Reads `file` (if any) and lays `overrides` over it, the later ones over the earlier.
    ///
    /// # Errors
    /// The file can't be read, a key is unknown, a value has the wrong form, or the settings don't
    /// go together.
    pub fn load(file: Option<&Path>, overrides: &[Override]) -> Result<Config, ConfigError> {
        let text = match file {
            Some(path) => std::fs::read_to_string(path).map_err(|e| ConfigError {
                place: path.display().to_string(),
                what: format!("can't be read: {e}"),
                nearest: None,
            })?,
            None => String::new(),
        };
        let name = file.map(|p| p.display().to_string()).unwrap_or_default();
        Config::from_text(&name, &text, overrides)
    }

    /// As [`Config::load`], with the file's text in hand.
    pub fn from_text(
        name: &str,
        text: &str,
        overrides: &[Override],
    ) -> Result<Config, ConfigError> {
        let mut config: Config =
            toml::from_str(text).map_err(|e| in_file(name, text, e.message(), e.span()))?;
        let mut table: Table =
            toml::from_str(text).map_err(|e| in_file(name, text, e.message(), e.span()))?;
        for item in overrides {
            config = lay_over(&mut table, item)?;
        }
        config.check().map_err(|what| ConfigError {
            place: if name.is_empty() { "configuration".to_owned() } else { name.to_owned() },
            what,
            nearest: None,
        })?;
        Ok(config)
    }
}

/// The settings among environment variables: `MILLSTREAM_LIMITS__BODY_BYTES_MAX=8MiB` is
/// `limits.body_bytes_max`. Variables without `__` are not settings and are passed over.
pub fn overrides_from_env(vars: impl Iterator<Item = (String, String)>) -> Vec<Override> {
    let mut found: Vec<Override> = vars
        .filter_map(|(name, text)| {
            let path = name.strip_prefix(ENV_PREFIX)?.to_ascii_lowercase();
            path.contains("__").then(|| Override::new(&name, &path.replace("__", "."), text))
        })
        .collect();
    found.sort_by(|a, b| a.source.cmp(&b.source));
    found
}

/// Puts one override into `table`; what the whole then means.
fn lay_over(table: &mut Table, item: &Override) -> Result<Config, ConfigError> {
    let (section, key) = item.path.rsplit_once('.').ok_or_else(|| ConfigError {
        place: item.source.clone(),
        what: format!("`{}` is not of the form section.key", item.path),
        nearest: None,
    })?;
    let mut first_error = None;
    for value in readings(&item.text) {
        let mut changed = table.clone();
        if let Some(keys) = table_at(&mut changed, section) {
            keys.insert(key.to_owned(), value);
        }
        match Config::try_from_table(changed.clone()) {
            Ok(config) => {
                *table = changed;
                return Ok(config);
            }
            Err(message) => first_error = first_error.or(Some(message)),
        }
    }
    let message = first_error.expect("a text has at least one reading");
    Err(ConfigError {
        place: item.source.clone(),
        nearest: nearest_key(&message),
        what: first_line(&message),
    })
}

/// The table at a path such as `streams.autoscale`, made if it is not there. `None`: something
/// else is.
fn table_at<'a>(table: &'a mut Table, path: &str) -> Option<&'a mut Table> {
    path.split('.').try_fold(table, |table, name| {
        let slot = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
        slot.as_table_mut()
    })
}

impl Config {
    fn try_from_table(table: Table) -> Result<Config, String> {
        table.try_into::<Config>().map_err(|e| e.message().to_owned())
    }
}

/// `8MiB` is a bare string, `true` and `5` and `["a"]` are TOML; a list may be one bare item.
fn readings(text: &str) -> Vec<Value> {
    let mut found = Vec::with_capacity(3);
    if let Ok(mut table) = toml::from_str::<Table>(&format!("value = {text}"))
        && let Some(value) = table.remove("value")
    {
        found.push(value);
    }
    found.push(Value::String(text.to_owned()));
    found.push(Value::Array(
        text.split(',').map(|item| Value::String(item.trim().to_owned())).collect(),
    ));
    found
}

fn in_file(
    name: &str,
    text: &str,
    message: &str,
    span: Option<std::ops::Range<usize>>,
) -> ConfigError {
    let (line, column) = line_and_column(text, span.map_or(0, |s| s.start));
    ConfigError {
        place: format!("{name}:{line}:{column}"),
        what: first_line(message),
        nearest: nearest_key(message),
    }
}

/// Both count from one; the column in characters.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

/// serde's sentence without the list of all keys when there are many.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or("").to_owned();
    match line.strip_prefix("unknown field ") {
        Some(rest) => match rest.split('`').nth(1) {
            Some(key) => format!("unknown key `{key}`"),
            None => line,
        },
        None => line,
    }
}

/// From "unknown field `a`, expected one of `b`, `c`": the one of them that is nearest to `a`.
fn nearest_key(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field ")?;
    let mut ticked = rest.split('`').skip(1).step_by(2);
    let unknown = ticked.next()?;
    ticked
        .map(|key| (strsim::damerau_levenshtein(unknown, key), key))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, key)| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::units::{ByteSize, Span};

    fn error(text: &str, overrides: &[Override]) -> String {
        Config::from_text("m.toml", text, overrides).unwrap_err().to_string()
    }

    #[test]
    fn nothing_at_all_is_a_configuration() {
        assert_eq!(Config::from_text("", "", &[]).unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_the_nearest_one() {
        assert_eq!(
            error("[limits]\nbody_bytes_max = \"1MiB\"\n  body_byte_max = \"1MiB\"\n", &[]),
            "m.toml:3:3: unknown key `body_byte_max`; did you mean `body_bytes_max`?"
        );
        assert_eq!(
            error("[limit]\n", &[]),
            "m.toml:1:2: unknown key `limit`; did you mean `limits`?"
        );
        assert_eq!(
            error("", &[Override::new("MILLSTREAM_LOG__LEVL", "logging.levl", "info")]),
            "MILLSTREAM_LOG__LEVL: unknown key `levl`; did you mean `level`?"
        );
    }

    #[test]
    fn a_wrong_value_is_named_with_its_place() {
        let found = error("[limits]\nbody_bytes_max = \"many\"\n", &[]);
        assert!(found.starts_with("m.toml:2:18: `many` is not a size"), "{found}");
        let found = error("[server]\nlisten = 5\n", &[]);
        assert!(found.starts_with("m.toml:2:10: "), "{found}");
        let found = error("", &[Override::new("--listen", "server.listen", "nowhere")]);
        assert!(found.starts_with("--listen: "), "{found}");
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let vars = [
            ("MILLSTREAM_LIMITS__BODY_BYTES_MAX", "2MiB"),
            ("MILLSTREAM_SERVER__LISTEN", "127.0.0.1:1,127.0.0.1:2"),
            ("MILLSTREAM_SERVER__DRAIN_TIME", "3s"),
            ("MILLSTREAM_SERVER__ACCOUNT", "000000000042"),
            ("MILLSTREAM_SERVER__EPHEMERAL", "true"),
            ("MILLSTREAM_LOG", "not a setting"),
            ("PATH", "/bin"),
        ];
        let mut overrides =
            overrides_from_env(vars.iter().map(|(k, v)| (k.to_string(), v.to_string())));
        overrides.push(Override::new("--drain-time", "server.drain_time", "4s"));
        let file = "[limits]\nbody_bytes_max = \"1MiB\"\n[server]\nregion = \"eu-central-1\"\n";
        let config = Config::from_text("m.toml", file, &overrides).unwrap();
        assert_eq!(config.limits.body_bytes_max, ByteSize::mib(2));
        assert_eq!(config.server.drain_time, Span::from_secs(4));
        assert_eq!(config.server.region, "eu-central-1");
        assert_eq!(config.server.account, "000000000042");
        assert!(config.server.ephemeral);
        assert_eq!(
            config.server.listen,
            ["127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()]
        );
    }

    #[test]
    fn settings_that_do_not_go_together_are_refused() {
        assert_eq!(
            error("[auth]\nmode = \"keys\"\n", &[]),
            "m.toml: auth.mode is \"keys\" but no [[auth.keys]] is given: nobody could sign in"
        );
        assert_eq!(
            error("[server]\naccount = \"12\"\n", &[]),
            "m.toml: server.account is `12`, an account has 12 digits"
        );
    }
}

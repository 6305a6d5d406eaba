//! Merges defaults, file and environment, and hands the tree to the readers.
//!
//! Invariant: a later layer wins key by key, lists as a whole. The defaults of a role are a layer
//! only when the file or the environment asks for that role.

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use config::{Config, ConfigError, Environment, File, FileFormat, Value, ValueKind};

use crate::{problem::Problems, read, schema::Conf};

const DEFAULTS: &str = include_str!("layers/defaults.toml");

/// The defaults of a table are a layer only where the file or the environment has that table.
const DEFAULTS_OF: [(&str, &str); 4] = [
    ("home", include_str!("layers/defaults_home.toml")),
    ("hub", include_str!("layers/defaults_hub.toml")),
    ("link", include_str!("layers/defaults_link.toml")),
    ("gateway", include_str!("layers/defaults_gateway.toml")),
];

/// Those of a link that leads to hubs.
const DEFAULTS_UPLINK: &str = include_str!("layers/defaults_uplink.toml");

/// Where Linux tells the host's name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// A configuration is a page or two; more than this is the wrong file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a configuration takes from outside its file.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The environment; only variables that begin with `MERIDIAN__` count.
    pub environment: HashMap<String, String>,
    /// The default of `node.name`.
    pub host_name: Option<String>,
    /// The folder from which relative file names count.
    pub folder: PathBuf,
}

impl Surroundings {
    /// Those of this process, for a configuration file in `folder`.
    pub fn of_process(folder: PathBuf) -> Self {
        let text = |(key, value): (std::ffi::OsString, std::ffi::OsString)| {
            // What is not Unicode stays visible as such, and is then refused by its reader.
            Some((
                key.into_string().ok()?,
                value.to_string_lossy().into_owned(),
            ))
        };
        let environment = std::env::vars_os().filter_map(text).collect();
        let host_name = fs::read_to_string(HOST_NAME)
            .ok()
            .map(|name| name.trim().to_owned());
        Self {
            environment,
            host_name,
            folder,
        }
    }
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum LoadError {
    /// The file cannot be read.
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is not TOML.
    Syntax {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// It is TOML, but not a configuration.
    Problems {
        /// Which.
        path: PathBuf,
        /// All that is wrong.
        problems: Problems,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                write!(
                    f,
                    "{}: cannot be read ({error}); give a TOML file",
                    path.display()
                )
            }
            Self::Syntax {
                path,
                line,
                column,
                message,
            } => {
                write!(f, "{}:{line}:{column}: {}", path.display(), message.trim())
            }
            Self::Problems { path, problems } => write!(f, "{}: {problems}", path.display()),
        }
    }
}

impl std::error::Error for LoadError {}

/// Reads the configuration of this process from the file at `path` and the environment.
///
/// # Errors
/// [`LoadError`]; of problems, all there are.
pub fn load(path: &Path) -> Result<Conf, LoadError> {
    let unreadable = |error| LoadError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let bytes = fs::metadata(path).map_err(unreadable)?.len();
    if bytes > FILE_BYTES_MAX {
        let error = io::Error::other(format!("{bytes} bytes, more than {FILE_BYTES_MAX}"));
        return Err(unreadable(error));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    parse(&text, path, &Surroundings::of_process(folder))
}

/// Reads a configuration from `text`; `path` names it in errors.
///
/// # Errors
/// As for [`load`].
pub fn parse(text: &str, path: &Path, surroundings: &Surroundings) -> Result<Conf, LoadError> {
    if let Err(error) = text.parse::<toml::Table>() {
        return Err(syntax(text, path, &error));
    }
    let tree = merge(text, surroundings).map_err(|error| LoadError::Syntax {
        path: path.to_owned(),
        line: 1,
        column: 1,
        message: error.to_string(),
    })?;
    read::read(tree, &surroundings.folder).map_err(|problems| LoadError::Problems {
        path: path.to_owned(),
        problems,
    })
}

fn merge(text: &str, around: &Surroundings) -> Result<HashMap<String, Value>, ConfigError> {
    let given = Config::builder()
        .add_source(File::from_str(text, FileFormat::Toml))
        .add_source(
            Environment::with_prefix("MERIDIAN")
                .prefix_separator("__")
                .separator("__")
                .source(Some(around.environment.clone())),
        )
        .build()?;
    let mut defaults = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    if let Some(host_name) = &around.host_name {
        defaults = defaults.set_default("node.name", host_name.as_str())?;
    }
    for text in defaults_for(&given.cache.clone().into_table()?) {
        defaults = defaults.add_source(File::from_str(text, FileFormat::Toml));
    }
    defaults.add_source(given).build()?.cache.into_table()
}

fn defaults_for(given: &HashMap<String, Value>) -> Vec<&'static str> {
    let of_table = DEFAULTS_OF
        .iter()
        .filter(|(table, _)| given.contains_key(*table));
    let mut texts: Vec<_> = of_table.map(|(_, text)| *text).collect();
    let link = given.get("link").map(|link| &link.kind);
    let leads_to_hubs = matches!(link, Some(ValueKind::Table(link)) if link.contains_key("hubs"));
    // A hub's own link section has no listener: its readers come to `hub.listen`.
    if leads_to_hubs && !given.contains_key("hub") {
        texts.push(DEFAULTS_UPLINK);
    }
    texts
}

fn syntax(text: &str, path: &Path, error: &toml::de::Error) -> LoadError {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    LoadError::Syntax {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: error.message().to_owned(),
    }
}

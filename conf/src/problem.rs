//! What is wrong with a configuration, told so that it can be put right.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which key, as `gateway.etcd.listen`.
    pub path: String,
    /// Whether the value came from the environment.
    pub from_environment: bool,
    /// What is wrong, as the rest of a sentence that begins with the path.
    pub wrong: String,
    /// What would be right, as an imperative.
    pub right: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            from_environment,
            wrong,
            right,
        } = self;
        write!(f, "{path}: {wrong}; {right}")?;
        if *from_environment {
            let variable = path.split('[').next().unwrap_or(path).replace('.', "__");
            write!(f, " (set by MERIDIAN__{})", variable.to_ascii_uppercase())?;
        }
        Ok(())
    }
}

/// Everything that is wrong; one at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 problem:")?,
            n => write!(f, "{n} problems:")?,
        }
        for problem in &self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

//! The codec of the JSON gateway: a JSON body into a request message, a response message into JSON.
//!
//! It answers as etcd's gateway does (measured on 3.4.23): 64-bit numbers as strings, bytes in standard
//! base64, names as in the proto, zero fields left out. What a request may look like depends on etcd's
//! version: see [`Dialect`]. It knows no HTTP: routes are [`Method`]'s, and wrapping a stream's items in
//! `{"result":…}` is the door's.
//!
//! Known differences: a number no enum has is refused here and passed on by etcd; `<`, `>` and `&` in
//! strings are not escaped as 3.4 does; error texts are ours. From 3.6 on, etcd takes a number also as
//! `1e1` and `1.0`, refuses a `null` in a list, and accepts no field twice: not so here.

mod dialect;

use std::{error::Error, fmt};

use bytes::Bytes;
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{etcdserverpb, method::Method, table::method_table, v3electionpb, v3lockpb};

pub use dialect::Dialect;

/// A body that is not a request of its method: the client's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    field: String,
    reason: String,
}

impl JsonError {
    fn new(reason: impl fmt::Display) -> Self {
        Self {
            field: String::new(),
            reason: reason.to_string(),
        }
    }

    /// The same error seen from one level further out.
    fn within(mut self, outer: &str) -> Self {
        let joint = if self.field.is_empty() || self.field.starts_with('[') {
            ""
        } else {
            "."
        };
        self.field.insert_str(0, joint);
        self.field.insert_str(0, outer);
        self
    }

    /// Where in the body, as `success[0].request_put.key`; `None` when it is the body as a whole.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        (!self.field.is_empty()).then_some(self.field.as_str())
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field() {
            Some(field) => write!(formatter, "{field}: {}", self.reason),
            None => formatter.write_str(&self.reason),
        }
    }
}

impl Error for JsonError {}

/// A message that cannot be shown as JSON: the home's fault, or it is newer than we are.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not a message of the method's response type.
    #[error("decode the response message")]
    Wire(#[from] prost::DecodeError),
    /// The message holds an enum number that we have no name for.
    #[error("write the response as JSON")]
    Json(#[from] serde_json::Error),
}

macro_rules! define_codec {
    ($($variant:ident $path:literal $shape:ident $effect:ident
        $request:path => $response:path [$($route:literal),*];)*) => {
        /// Encodes the request message that a JSON body describes.
        ///
        /// The first JSON value of the body counts and what follows is ignored; no value, or `null`, is
        /// the empty request; so is `null` for a field. Field names are accepted as in the proto and in
        /// camel case, numbers also as strings, enums by name or number. Unknown fields are ignored.
        /// What becomes of base64 and of unknown enum names is the dialect's.
        ///
        /// # Errors
        /// Not JSON, a value of the wrong kind, or bytes that are not base64 as the dialect has it.
        pub fn request_from_json(
            method: Method,
            body: &[u8],
            dialect: Dialect,
        ) -> Result<Bytes, JsonError> {
            let value = parse(body, method, dialect)?;
            match method {
                $(Method::$variant => encode::<$request>(value),)*
            }
        }

        /// Writes a response message of the method as JSON, on one line, without a line break.
        ///
        /// # Errors
        /// The bytes are not such a message, or hold an enum number without a name.
        pub fn response_to_json(method: Method, message: &[u8]) -> Result<Vec<u8>, DecodeError> {
            match method {
                $(Method::$variant => write::<$response>(message),)*
            }
        }
    };
}

method_table!(define_codec);

fn encode<M: Message + DeserializeOwned>(value: Value) -> Result<Bytes, JsonError> {
    let message: M = serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let whole = JsonError::new(error.into_inner());
        if path == "." {
            whole
        } else {
            whole.within(&path)
        }
    })?;
    Ok(message.encode_to_vec().into())
}

fn write<M: Message + Default + Serialize>(message: &[u8]) -> Result<Vec<u8>, DecodeError> {
    Ok(serde_json::to_vec(&M::decode(message)?)?)
}

/// The body's first value, as pbjson shall see it: no `null`s, bytes in canonical base64, and only enum
/// names that the dialect lets count.
fn parse(body: &[u8], method: Method, dialect: Dialect) -> Result<Value, JsonError> {
    let first = serde_json::Deserializer::from_slice(body)
        .into_iter::<Value>()
        .next();
    let mut value = first
        .transpose()
        .map_err(JsonError::new)?
        .unwrap_or(Value::Null);
    if value.is_null() {
        value = Value::Object(serde_json::Map::new());
    }
    dialect::normalize(&mut value, method, dialect)?;
    Ok(value)
}

#[cfg(test)]
mod tests;

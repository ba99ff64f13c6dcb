//! One step of the story: what was asked, by whom, and what came back.

use gavah_client::{Failure, Reply};
use serde_json::{Map, Value};

/// A step that has happened.
pub(crate) struct Step {
    /// What the step shows, one sentence.
    pub(crate) title: &'static str,
    /// Caller id.
    pub(crate) caller: &'static str,
    /// `Service/Method`.
    pub(crate) rpc: &'static str,
    /// `OK`, a verdict's outcome, or the gRPC code.
    pub(crate) outcome: String,
    /// Reason of a refusal or verdict; empty when there is none.
    pub(crate) reason: String,
    /// Trace id of the call.
    pub(crate) trace_id: String,
    /// What is worth showing of the answer.
    pub(crate) fields: Map<String, Value>,
}

/// A step about to be asked.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// As [`Step::title`].
    pub(crate) title: &'static str,
    /// As [`Step::caller`].
    pub(crate) caller: &'static str,
    /// As [`Step::rpc`].
    pub(crate) rpc: &'static str,
}

impl Asked {
    /// The step, answered.
    pub(crate) fn answered<T>(self, reply: &Reply<T>, fields: Map<String, Value>) -> Step {
        Step {
            title: self.title,
            caller: self.caller,
            rpc: self.rpc,
            outcome: "OK".to_owned(),
            reason: String::new(),
            trace_id: reply.trace_id().unwrap_or_default().to_owned(),
            fields,
        }
    }

    /// The step, refused.
    pub(crate) fn refused(self, failure: &Failure) -> Step {
        let mut fields: Map<String, Value> = failure
            .metadata
            .iter()
            .filter(|(key, _)| *key != "trace_id")
            .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
            .collect();
        fields.insert("message_en".to_owned(), failure.message.as_str().into());
        fields.insert("message_fa".to_owned(), failure.message_fa.clone().into());
        Step {
            title: self.title,
            caller: self.caller,
            rpc: self.rpc,
            outcome: failure.code_name().to_owned(),
            reason: failure.reason.clone().unwrap_or_default(),
            trace_id: failure.trace_id.clone().unwrap_or_default(),
            fields,
        }
    }
}

impl Step {
    /// The step as one JSON object.
    pub(crate) fn json(&self, number: usize) -> Value {
        let mut object = Map::new();
        object.insert("step".to_owned(), number.into());
        object.insert("title".to_owned(), self.title.into());
        object.insert("caller".to_owned(), self.caller.into());
        object.insert("rpc".to_owned(), self.rpc.into());
        object.insert("outcome".to_owned(), self.outcome.as_str().into());
        object.insert("reason".to_owned(), self.reason.as_str().into());
        object.insert("trace_id".to_owned(), self.trace_id.as_str().into());
        object.extend(self.fields.clone());
        Value::Object(object)
    }

    /// The step as lines for a person.
    pub(crate) fn text(&self, number: usize) -> String {
        let reason = if self.reason.is_empty() || self.reason == "OK" {
            String::new()
        } else {
            format!(" · {}", self.reason)
        };
        let mut text = format!(
            "{number:>2}. {}\n    {} → {}\n    {}{reason}\n",
            self.title, self.caller, self.rpc, self.outcome
        );
        for (name, value) in &self.fields {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            if !value.is_empty() && value != "null" {
                text.push_str(&format!("      {name}: {value}\n"));
            }
        }
        text.push_str(&format!("      trace {}\n", self.trace_id));
        text
    }
}

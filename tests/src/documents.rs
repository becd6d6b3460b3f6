//! The OpenRPC document as the server serves it: what every client here holds the server to.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::schema;

/// Reasons that every method may be refused with.
const COMMON_REASONS: [&str; 5] = ["unauthorized", "forbidden", "rate_limited", "busy", "unavailable"];

/// The document.
pub struct OpenRpc {
    root: Value,
    methods: BTreeMap<String, usize>,
}

/// One method as it is documented.
#[derive(Clone, Copy)]
pub struct Method<'a>(&'a Value);

impl<'a> Method<'a> {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.0["name"].as_str().expect("a name")
    }

    /// Who may call it.
    #[must_use]
    pub fn roles(self) -> Vec<&'a str> {
        self.0["x-roles"].as_array().expect("roles").iter().filter_map(Value::as_str).collect()
    }

    /// Does it change something?
    #[must_use]
    pub fn is_mutating(self) -> bool {
        self.0["x-mutating"] == true
    }

    /// The names of its parameters, and whether each is required.
    #[must_use]
    pub fn params(self) -> Vec<(&'a str, bool)> {
        let params = self.0["params"].as_array().expect("params").iter();
        params.map(|param| (param["name"].as_str().expect("a name"), param["required"] == true)).collect()
    }
}

impl OpenRpc {
    /// Of the document.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn new(root: Value) -> Self {
        let all = root["methods"].as_array().expect("methods").iter().enumerate();
        let methods = all.map(|(at, method)| (Method(method).name().to_owned(), at)).collect();
        Self { root, methods }
    }

    /// All methods.
    pub fn methods(&self) -> impl Iterator<Item = Method<'_>> {
        self.root["methods"].as_array().into_iter().flatten().map(Method)
    }

    /// The method of this name.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<Method<'_>> {
        self.methods.get(name).map(|at| Method(&self.root["methods"][at]))
    }

    /// The names of all notifications.
    ///
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn notifications(&self) -> Vec<&str> {
        let all = self.root["components"]["x-notifications"].as_object().expect("notifications");
        all.keys().map(String::as_str).collect()
    }

    /// Is this what the method answers?
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_result(&self, method: &str, result: &Value) -> Result<(), String> {
        let documented = self.method(method).ok_or_else(|| format!("{method} is not documented"))?;
        schema::check(&self.root, &documented.0["result"]["schema"], result).map_err(|why| format!("{method}: {why}: {result}"))
    }

    /// Is this what the method may be refused with?
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_refusal(&self, method: &str, reason: &str) -> Result<(), String> {
        let Some(documented) = self.method(method) else { return Ok(()) };
        let mut own = documented.0["errors"].as_array().into_iter().flatten();
        let is_known = COMMON_REASONS.contains(&reason) || own.any(|error| error["data"]["reason"] == reason);
        if is_known { Ok(()) } else { Err(format!("{method}: the reason `{reason}` is not documented")) }
    }

    /// Is this what the server may say to that role?
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_notification(&self, role: &str, name: &str, params: &Value) -> Result<(), String> {
        let documented = &self.root["components"]["x-notifications"][name];
        if documented.is_null() {
            return Err(format!("{name} is not documented"));
        }
        if !documented["x-roles"].as_array().is_some_and(|roles| roles.iter().any(|it| it == role)) {
            return Err(format!("{name} is not for {role}"));
        }
        schema::check(&self.root, &documented["params"], params).map_err(|why| format!("{name}: {why}: {params}"))
    }
}

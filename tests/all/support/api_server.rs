//! A small API server in memory: it keeps objects, counts resource versions and writes down the
//! writing requests.

use std::collections::BTreeMap;

use seatrial::api::{PatchType, TextSelector};
use seatrial::kubectl::{Api, At, DeleteOptions, Resource, Status, resource_of, server};
use serde_json::{Value, json};

/// Every object has this uid, and the same time of creation.
pub(crate) const UID: &str = "11111111-2222-3333-4444-555555555555";
const CREATED: &str = "2025-10-09T08:53:20Z";

/// Plural of the kind, namespace, name.
pub(crate) type Key = (String, String, String);

#[derive(Default)]
pub(crate) struct ApiServer {
    pub(crate) objects: BTreeMap<Key, Value>,
    pub(crate) requests: Vec<Value>,
    version: u64,
}

impl ApiServer {
    /// A server that has these objects.
    pub(crate) fn with(objects: &[Value]) -> Self {
        let mut server = Self { version: 1000, ..Self::default() };
        for object in objects {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let resource = resource_of(&text(&object["apiVersion"]), &text(&object["kind"]));
            let resource = resource.expect("a known kind");
            let metadata = &object["metadata"];
            let key =
                (resource.plural.to_owned(), text(&metadata["namespace"]), text(&metadata["name"]));
            let mut object = object.clone();
            object["metadata"]["uid"] = UID.into();
            object["metadata"]["creationTimestamp"] = CREATED.into();
            server.store(key, object);
        }
        server
    }

    /// Keeps an object; like the recorded server, without its status.
    fn store(&mut self, key: Key, mut object: Value) -> Value {
        object.as_object_mut().map(|object| object.remove("status"));
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(key, object.clone());
        object
    }

    /// Stores what has changed.
    fn changed(&mut self, at: At<'_>, old: &Value, new: Value) -> Value {
        let mut new = new;
        new.as_object_mut().map(|object| object.remove("status"));
        if *old == new { new } else { self.store(key(at), new) }
    }

    fn old(&self, at: At<'_>) -> Result<Value, Status> {
        let missing = || Status::not_found(at.resource, at.name);
        self.objects.get(&key(at)).cloned().ok_or_else(missing)
    }

    fn wrote<T>(
        &mut self,
        (method, at, content_type): (&str, At<'_>, Option<&str>),
        body: Value,
        result: Result<T, Status>,
    ) -> Result<T, Status> {
        let fine = if method == "POST" { 201 } else { 200 };
        let code = result.as_ref().map_or_else(|status| status.code, |_| fine);
        let mut request = json!({ "method": method, "path": at.path(), "status": code });
        if let Some(content_type) = content_type {
            request["contentType"] = content_type.into();
        }
        request["body"] = body;
        self.requests.push(request);
        result
    }
}

fn key(at: At<'_>) -> Key {
    let namespace = if at.resource.is_namespaced { at.namespace } else { "" };
    (at.resource.plural.to_owned(), namespace.to_owned(), at.name.to_owned())
}

impl Api for ApiServer {
    fn get(&mut self, at: At<'_>) -> Result<Value, Status> {
        let object = self.old(at)?;
        if at.is_scale() {
            return server::scale_of(at.resource, &object).ok_or_else(Status::no_such_path);
        }
        Ok(object)
    }

    fn list(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        selector: &TextSelector,
    ) -> Result<Vec<Value>, Status> {
        let namespace = if resource.is_namespaced { namespace } else { "" };
        let of = self.objects.iter().filter(|((plural, of, _), object)| {
            plural == resource.plural
                && of == namespace
                && selector.matches(&object["metadata"]["labels"])
        });
        Ok(of.map(|(_, object)| object.clone()).collect())
    }

    fn create(
        &mut self,
        at: At<'_>,
        object: Value,
        content_type: &'static str,
    ) -> Result<Value, Status> {
        let body = object.clone();
        let mut object = object;
        object["metadata"]["uid"] = UID.into();
        object["metadata"]["creationTimestamp"] = CREATED.into();
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let place = At { name: &name, ..at };
        let result = match self.objects.contains_key(&key(place)) {
            true => Err(Status::already_exists(at.resource, &name)),
            false => server::create(at, object).map(|object| self.store(key(place), object)),
        };
        self.wrote(("POST", at, Some(content_type)), body, result)
    }

    fn patch(&mut self, at: At<'_>, language: PatchType, patch: Value) -> Result<Value, Status> {
        let result = self.old(at).and_then(|old| {
            let new = server::patch(at, &old, language, &patch)?;
            Ok(self.changed(at, &old, new))
        });
        self.wrote(("PATCH", at, Some(language.content_type())), patch, result)
    }

    fn replace(&mut self, at: At<'_>, object: Value) -> Result<Value, Status> {
        let body = object.clone();
        let result = self.old(at).and_then(|old| {
            let new = match at.is_scale() {
                true => server::replace_scale(at, &old, &object)?,
                false => server::update(at, &old, object)?,
            };
            Ok(self.changed(at, &old, new))
        });
        self.wrote(("PUT", at, None), body, result)
    }

    fn delete(&mut self, at: At<'_>, options: DeleteOptions) -> Result<(), Status> {
        let result = self.old(at).map(|_| drop(self.objects.remove(&key(at))));
        self.wrote(("DELETE", at, Some("application/json")), options.body(), result)
    }
}

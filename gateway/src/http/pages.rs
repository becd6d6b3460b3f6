//! The widget, the desk and the demo: files of `pages/`, embedded in the program.
//!
//! Adding a file there means adding a line to [`FILES`]; a test says which one is missing. A debug build
//! reads them from the source tree while that is there, so that a change shows after reloading the page.

use std::fmt::Write as _;
use std::rc::Rc;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest as _, Sha256};

/// One file of `pages/`, served under the same path.
struct File {
    path: &'static str,
    content: &'static [u8],
}

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(File { path: $path, content: include_bytes!(concat!("../../pages/", $path)) }),*]
    };
}

/// Everything that is served, in the order of its paths.
const FILES: &[File] = files!["client.js",];

/// Folders with an `index.html`.
const FOLDERS: [&str; 0] = [];

/// What the pages themselves may do: their own scripts, styles and sockets, and no text that becomes
/// markup or code. `'self'` covers `ws:` and `wss:` of the same host.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// Puts a resource for each file into an `App`.
pub(super) fn install(config: &mut ServiceConfig) {
    for file in FILES {
        let asset = Rc::new(Asset::of(file.path, file.content));
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", file.path));
        if name == "index.html" && FOLDERS.contains(&folder) {
            let to = HeaderValue::from_str(&format!("/{folder}/")).expect("paths are ASCII");
            config.service(web::resource(format!("/{folder}")).route(web::get().to(move || {
                let to = to.clone();
                async move { HttpResponse::PermanentRedirect().insert_header((LOCATION, to)).finish() }
            })));
            serve(config, &format!("/{folder}/"), &asset);
        } else {
            serve(config, &format!("/{}", file.path), &asset);
        }
    }
}

fn serve(config: &mut ServiceConfig, path: &str, asset: &Rc<Asset>) {
    let asset = Rc::clone(asset);
    let handler = move |request: HttpRequest| {
        let answer = asset.now().answer(request.headers());
        async move { answer }
    };
    config.service(web::resource(path).route(web::get().to(handler.clone())).route(web::head().to(handler)));
}

/// A file and the headers that it is served with.
struct Asset {
    path: &'static str,
    content: web::Bytes,
    etag: HeaderValue,
}

impl Asset {
    fn of(path: &'static str, content: impl Into<web::Bytes>) -> Self {
        let content = content.into();
        let mut etag = String::from("\"");
        for byte in &Sha256::digest(&content)[..16] {
            let _ = write!(etag, "{byte:02x}");
        }
        etag.push('"');
        Self { path, content, etag: HeaderValue::from_str(&etag).expect("hexadecimal digits are ASCII") }
    }

    #[cfg(debug_assertions)]
    fn now(&self) -> Self {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/pages/");
        let content = std::fs::read(format!("{source}{}", self.path)).map_or_else(|_| self.content.clone(), Into::into);
        Self::of(self.path, content)
    }

    #[cfg(not(debug_assertions))]
    fn now(&self) -> &Self {
        self
    }

    fn answer(&self, request: &HeaderMap) -> HttpResponse {
        let is_known = request.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok()).is_some_and(|known| {
            let etag = self.etag.to_str().unwrap_or_default();
            known.split(',').any(|one| one.trim().trim_start_matches("W/") == etag || one.trim() == "*")
        });
        let mut response = if is_known {
            HttpResponse::NotModified().finish()
        } else {
            HttpResponse::build(StatusCode::OK).body(self.content.clone())
        };
        let mut put =
            |name: HeaderName, value: &'static str| response.headers_mut().insert(name, HeaderValue::from_static(value));
        put(CONTENT_TYPE, content_type(self.path));
        put(X_CONTENT_TYPE_OPTIONS, "nosniff");
        // Modules of one version belong together: each is asked for anew, and is rarely sent.
        put(CACHE_CONTROL, "no-cache");
        if self.path.ends_with(".html") {
            put(CONTENT_SECURITY_POLICY, POLICY);
            put(REFERRER_POLICY, "same-origin");
        } else if is_public(self.path) {
            // Modules are loaded with CORS, and also by pages that isolate themselves.
            put(ACCESS_CONTROL_ALLOW_ORIGIN, "*");
            put(HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
        }
        response.headers_mut().insert(ETAG, self.etag.clone());
        response
    }
}

/// May pages of other origins load it?
fn is_public(path: &str) -> bool {
    matches!(path, "client.js" | "widget.js") || path.starts_with("widget/")
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, kind)| kind) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

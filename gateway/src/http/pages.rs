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

use crate::auth::sha256;

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
const FILES: &[File] = files![
    "client.js",
    "demo/chair.html",
    "demo/demo.css",
    "demo/demo.js",
    "demo/index.html",
    "demo/lamp.html",
    "demo/mug.html",
    "desk/alerts.js",
    "desk/canned.js",
    "desk/composer.js",
    "desk/conversation.js",
    "desk/customer.js",
    "desk/desk.css",
    "desk/desk.js",
    "desk/dialogs.js",
    "desk/dom.js",
    "desk/i18n.js",
    "desk/icon.svg",
    "desk/index.html",
    "desk/keys.js",
    "desk/lists.js",
    "desk/settings.js",
    "desk/signin.js",
    "desk/store.js",
    "desk/texts.js",
    "desk/ticks.js",
    "desk/work.js",
    "widget.js",
    "widget/chat.js",
    "widget/choice.js",
    "widget/composer.js",
    "widget/dom.js",
    "widget/ending.js",
    "widget/links.js",
    "widget/log.js",
    "widget/memory.js",
    "widget/notices.js",
    "widget/panel.js",
    "widget/styles.js",
    "widget/surroundings.js",
    "widget/texts.js",
    "widget/texts/en.js",
    "widget/texts/fi.js",
    "widget/texts/ru.js",
    "widget/thread.js",
    "widget/visit.js",
];

/// Folders with an `index.html`.
const FOLDERS: [&str; 2] = ["demo", "desk"];

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
    fn of(path: &'static str, source: &[u8]) -> Self {
        let content = match std::str::from_utf8(source) {
            Ok(source) if path.ends_with(".js") => web::Bytes::from(without_comments(source)),
            _ => web::Bytes::copy_from_slice(source),
        };
        let mut etag = String::from("\"");
        for byte in &sha256(&content)[..16] {
            let _ = write!(etag, "{byte:02x}");
        }
        etag.push('"');
        Self { path, content, etag: HeaderValue::from_str(&etag).expect("hexadecimal digits are ASCII") }
    }

    #[cfg(debug_assertions)]
    fn now(&self) -> Self {
        let source = std::fs::read(format!("{}/pages/{}", env!("CARGO_MANIFEST_DIR"), self.path));
        let embedded = || Self { path: self.path, content: self.content.clone(), etag: self.etag.clone() };
        source.map_or_else(|_| embedded(), |source| Self::of(self.path, &source))
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

/// A script without the lines that are comments: a third of what visitors would load. The numbers of the
/// lines stay. No text over several lines may hold one that looks like a comment.
fn without_comments(source: &str) -> String {
    let mut kept = String::with_capacity(source.len());
    let mut is_inside = false;
    for line in source.lines() {
        let text = line.trim();
        if is_inside {
            is_inside = !text.ends_with("*/");
        } else if text.starts_with("/*") {
            match text.split_once("*/") {
                Some((_, code)) => kept.push_str(code),
                None => is_inside = true,
            }
        } else if !text.starts_with("//") {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use actix_web::App;
    use actix_web::body::to_bytes;
    use actix_web::test::{TestRequest, call_service, init_service};

    use super::*;

    fn below(folder: &Path, path: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = format!("{path}{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                below(&entry.path(), &format!("{path}/"), found);
            } else if !path.ends_with(".d.ts") {
                found.insert(path);
            }
        }
    }

    #[test]
    fn every_file_is_served() {
        let mut there = BTreeSet::new();
        below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("pages"), "", &mut there);
        let listed: BTreeSet<String> = FILES.iter().map(|file| file.path.to_owned()).collect();
        assert_eq!(there, listed);
    }

    #[test]
    fn comments_go_and_lines_stay() {
        let source = "/**\n * Why.\n */\nlet a = 1; // kept\n    // gone\n/** @type {number} */ let b;\n";
        assert_eq!(without_comments(source), "\n\n\nlet a = 1; // kept\n\n let b;\n");
    }

    #[actix_web::test]
    async fn pages_say_what_they_are_and_are_not_sent_twice() {
        let app = init_service(App::new().configure(install)).await;
        for (path, kind) in [("/widget.js", "text/javascript"), ("/demo/", "text/html"), ("/demo/demo.css", "text/css")] {
            let response = call_service(&app, TestRequest::with_uri(path).to_request()).await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            let headers = response.headers().clone();
            assert!(headers.get(CONTENT_TYPE).unwrap().to_str().unwrap().starts_with(kind), "{path}");
            assert_eq!(headers.get(X_CONTENT_TYPE_OPTIONS).unwrap(), "nosniff");
            assert_eq!(headers.contains_key(CONTENT_SECURITY_POLICY), kind == "text/html", "{path}");
            assert_eq!(headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), path == "/widget.js", "{path}");
            assert!(!to_bytes(response.into_body()).await.unwrap().is_empty());
            let known = (IF_NONE_MATCH, headers.get(ETAG).unwrap().clone());
            let response = call_service(&app, TestRequest::with_uri(path).insert_header(known).to_request()).await;
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{path}");
        }
        let response = call_service(&app, TestRequest::with_uri("/demo").to_request()).await;
        assert_eq!(response.headers().get(LOCATION).unwrap(), "/demo/");
    }
}

//! The style sheet, the script and the icon: in the program, under names that change with their content.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

/// A file that browsers ask for.
struct Asset {
    name: String,
    kind: &'static str,
    content: &'static [u8],
}

pub(crate) static STYLE: LazyLock<String> = LazyLock::new(|| ASSETS[0].name.clone());
pub(crate) static SCRIPT: LazyLock<String> = LazyLock::new(|| ASSETS[1].name.clone());
pub(crate) static ICON: LazyLock<String> = LazyLock::new(|| ASSETS[2].name.clone());

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        Asset::new(
            "css",
            "text/css; charset=utf-8",
            include_bytes!("../assets/console.css"),
        ),
        Asset::new(
            "js",
            "text/javascript; charset=utf-8",
            include_bytes!("../assets/console.js"),
        ),
        Asset::new("svg", "image/svg+xml", include_bytes!("../assets/icon.svg")),
    ]
});

impl Asset {
    fn new(extension: &str, kind: &'static str, content: &'static [u8]) -> Self {
        let hash = BASE64_URL_SAFE_NO_PAD.encode(&digest(&SHA256, content).as_ref()[..9]);
        Self {
            name: format!("console-{hash}.{extension}"),
            kind,
            content,
        }
    }
}

/// Answers with an asset, which browsers may keep for ever: another content has another name.
pub(crate) async fn get(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => {
            let headers = [
                (CONTENT_TYPE, asset.kind),
                (CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, asset.content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

//! What is refused, and how that is said (RFC 9457).

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};
use liaison_protocol::operator::{Mistake, Problem};

/// A refusal on its way out as a [`Problem`].
pub(super) struct Refusal {
    status: StatusCode,
    detail: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }
}

/// The one place where mistakes become statuses.
impl From<Mistake> for Refusal {
    fn from(mistake: Mistake) -> Self {
        let status = match mistake {
            Mistake::Forbidden(_) => StatusCode::CONFLICT,
            Mistake::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Mistake::Malformed(_) => StatusCode::BAD_REQUEST,
            Mistake::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
            Mistake::Unknown(_) => StatusCode::NOT_FOUND,
            Mistake::Withheld(_) => StatusCode::FORBIDDEN,
        };
        Self::new(status, mistake.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: "about:blank".into(),
            title: self.status.canonical_reason().unwrap_or_default().into(),
            status: self.status.as_u16(),
            detail: self.detail,
        };
        let mut response = (self.status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECS));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

const RETRY_AFTER_SECS: &str = "2";

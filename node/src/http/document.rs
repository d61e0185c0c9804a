//! What the OpenAPI document says beside the routes.

use liaison_protocol::operator::Problem;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, Schema};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoResponses, Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "liaison node",
        description = "What an officer's tools and a national system ask of their own State's node. Every \
                       refusal is a problem (RFC 9457) whose `detail` says what to do.",
    ),
    components(schemas(Problem)),
    modifiers(&Bearer),
    security(("bearer" = [])),
    servers((url = "https://127.0.0.1:4711", description = "The node on this machine; the port is configured")),
    tags(
        (name = "node", description = "The node itself."),
        (name = "peers", description = "Other States' nodes."),
        (name = "exchanges", description = "Questions to and from other States."),
        (name = "cases", description = "Traces from State to State, to the point of diversion."),
        (name = "registers", description = "Our own lists, from which the node answers."),
        (name = "log", description = "What was recorded, and the proofs of it."),
        (name = "service", description = "For whoever keeps the node running; needs no token."),
    ),
)]
pub(super) struct Document;

pub(super) struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token of the node's configuration, `lsn_...`; its holder is the officer."))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(token));
    }
}

/// A value of a code list that may have grown is one we know or any text, and one we know is a text too: the
/// derived `oneOf` would match neither.
pub(super) fn loosen_codes(document: &mut utoipa::openapi::OpenApi) {
    let schemas = document.components.iter_mut().flat_map(|components| &mut components.schemas);
    for (_, schema) in schemas.filter(|(name, _)| name.starts_with("Coded_")) {
        if let RefOr::T(Schema::OneOf(one)) = schema {
            let any = one.items.drain(..).fold(AnyOfBuilder::new(), AnyOfBuilder::item);
            *schema = any.description(one.description.take()).into();
        }
    }
}

/// What anything that needs a token can be answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "for the document only")]
pub(super) enum Always {
    /// No token, or one that the node does not know.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(Problem),
    /// The node cannot sign now, or has too much to do; Retry-After says when to ask again.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// What a request about one particular thing can be answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "for the document only")]
pub(super) enum Particular {
    /// Something in the request is not as it must be.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(Problem),
    /// There is no such thing.
    #[response(status = 404, content_type = "application/problem+json")]
    Unknown(Problem),
}

/// What an order can be answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "for the document only")]
pub(super) enum Ordered {
    /// Something in the request is not as it must be.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(Problem),
    /// It is not possible as things stand.
    #[response(status = 409, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// The body is too long.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLong(Problem),
    /// The body is of another media type.
    #[response(status = 415, content_type = "application/problem+json")]
    WrongMedia(Problem),
}

/// What an order with an idempotency key can be answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "for the document only")]
pub(super) enum Keyed {
    /// The idempotency key was used for another request.
    #[response(status = 422, content_type = "application/problem+json")]
    Reused(Problem),
}

/// What may be forbidden by the conditions under which it was given.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "for the document only")]
pub(super) enum Guarded {
    /// A condition of the State that gave it forbids it; the refusal is recorded.
    #[response(status = 403, content_type = "application/problem+json")]
    Withheld(Problem),
}

//! The mailbox in the browser, and stand-ins for the pages of a frontend that mails link to. Nothing is loaded from elsewhere;
//! whatever a mail holds is escaped, and its HTML is shown in a frame that may do nothing but follow a link.

use super::{Mail, Mailbox};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::fmt::Write;

/// Where it stands.
pub const PATH: &str = "/mailbox";
/// Where the links of mails lead on a laptop, below the server's own address: `MailConfig::frontend_url` ends in it.
pub const FRONTEND: &str = "/mailbox/app";

/// For our own pages.
const OWN: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'none'; form-action 'none'";
/// For a page with the one script.
const APP: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; \
                   frame-ancestors 'none'; form-action 'none'";
/// For a mail's HTML: no scripts, no forms, nothing loaded; a link opens a new tab.
const MAIL: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; form-action 'none'; \
                    sandbox allow-popups allow-popups-to-escape-sandbox";
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1f2937}\
    table{width:100%;border-collapse:collapse}td,th{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #e5e7eb}\
    a{color:#1d4ed8}iframe{width:100%;height:40rem;border:1px solid #e5e7eb}\
    pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f3f4f6;padding:1rem}\
    input,button{font:inherit;padding:.4rem .6rem}";
const SCRIPT: &str = include_str!("app.js");

/// The routes, as they stand.
pub fn router(mailbox: Mailbox) -> Router {
    Router::new()
        .route(PATH, get(list))
        .route("/mailbox/{number}", get(show))
        .route("/mailbox/{number}/html", get(html))
        .route("/mailbox/{number}/raw", get(raw))
        .route("/mailbox/app.js", get(|| async { answer("text/javascript; charset=utf-8", OWN, SCRIPT.to_owned()) }))
        .route(FRONTEND, get(|| app(Path("login".to_owned()))))
        .route("/mailbox/app/{*page}", get(app))
        .with_state(mailbox)
}

async fn list(State(mailbox): State<Mailbox>) -> Response {
    let mut rows = String::new();
    for mail in mailbox.all().into_iter().rev() {
        let (number, date, to, subject) = (mail.number, escaped(&mail.date), escaped(&mail.to), escaped(&mail.subject));
        let _ = write!(rows, "<tr><td>{date}</td><td>{to}</td><td><a href=\"{PATH}/{number}\">{subject}</a></td></tr>");
    }
    let body = if rows.is_empty() {
        "<p>No mail yet. This page looks again every five seconds.</p>".to_owned()
    } else {
        format!("<table><tr><th>Date</th><th>To</th><th>Subject</th></tr>{rows}</table>")
    };
    page("Mailbox", "<meta http-equiv=\"refresh\" content=\"5\">", OWN, &body)
}

async fn show(State(mailbox): State<Mailbox>, Path(number): Path<u64>) -> Response {
    let Some(raw) = mailbox.raw(number) else { return missing() };
    let mail = Mail::read(number, &raw);
    let [from, to, date, text] = [&mail.from, &mail.to, &mail.date, &mail.text].map(|text| escaped(text));
    let body = format!(
        "<p><a href=\"{PATH}\">All mails</a> · <a href=\"{PATH}/{number}/raw\">as it was sent</a></p>\
         <p>From {from}<br>To {to}<br>{date}</p>\
         <iframe src=\"{PATH}/{number}/html\" title=\"The mail as HTML\"></iframe>\
         <h2>As text</h2><pre>{}</pre>",
        linked(&text)
    );
    page(&escaped(&mail.subject), "", OWN, &body)
}

async fn html(State(mailbox): State<Mailbox>, Path(number): Path<u64>) -> Response {
    let Some(raw) = mailbox.raw(number) else { return missing() };
    // The first element of a page may say where its links open.
    let body = format!("<base target=\"_blank\">{}", Mail::read(number, &raw).html);
    answer("text/html; charset=utf-8", MAIL, body)
}

async fn raw(State(mailbox): State<Mailbox>, Path(number): Path<u64>) -> Response {
    let Some(raw) = mailbox.raw(number) else { return missing() };
    answer("text/plain; charset=utf-8", OWN, String::from_utf8_lossy(&raw).into_owned())
}

/// What a frontend would do with the two links that carry a token; for all others it says where one would be.
async fn app(Path(name): Path<String>) -> Response {
    let done = "<p id=\"done\" role=\"status\"></p><script src=\"/mailbox/app.js\"></script>";
    let body = match name.as_str() {
        "verify-email" => format!(
            "<p><label>The password you registered with<br><input id=\"password\" type=\"password\" \
             autocomplete=\"current-password\"></label> <button id=\"verify\">Confirm the address</button></p>{done}"
        ),
        "reset-password" => format!(
            "<p><label>New password<br><input id=\"password\" type=\"password\" autocomplete=\"new-password\"></label> \
             <button id=\"reset\">Change it</button></p>{done}"
        ),
        other => format!(
            "<p>The page <code>/{}</code> of your frontend would be here. This system has no pages of its own: try \
             <a href=\"/docs\">the API</a>, or go back to <a href=\"{PATH}\">the mailbox</a>.</p>",
            escaped(other)
        ),
    };
    page("A stand-in for your frontend", "", APP, &body)
}

fn page(title: &str, head: &str, policy: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">{head}<title>{title}</title>\
         <style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>"
    );
    answer("text/html; charset=utf-8", policy, html)
}

fn missing() -> Response {
    let mut response = page("No such mail", "", OWN, &format!("<p><a href=\"{PATH}\">All mails</a></p>"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn answer(kind: &str, policy: &str, body: String) -> Response {
    let headers: [(HeaderName, &str); 5] = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store"),
        // A link of a mail holds a token.
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers.map(|(name, value)| (name, value.to_owned())), body).into_response()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Makes the addresses in escaped text links.
fn linked(escaped: &str) -> String {
    let is_link = |word: &str| word.starts_with("http://") || word.starts_with("https://");
    let words = escaped.split_inclusive(char::is_whitespace).map(|word| {
        let link = word.trim_end();
        if is_link(link) {
            word.replacen(link, &format!("<a href=\"{link}\" target=\"_blank\" rel=\"noreferrer\">{link}</a>"), 1)
        } else {
            word.to_owned()
        }
    });
    words.collect()
}

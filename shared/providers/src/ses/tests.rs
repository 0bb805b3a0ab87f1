use super::*;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_ses::config::{Credentials, SharedCredentialsProvider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn mailer(port: u16) -> SesMailer {
    let credentials = Credentials::new("test", "test", None, None, "test");
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        // As every function has it: the mailer must not inherit it.
        .retry_config(RetryConfig::standard().with_max_attempts(4))
        .build();
    SesMailer::with_timeout(&sdk, None, Duration::from_millis(500))
}

fn mail() -> RawMail {
    RawMail { from: "a@example.com".to_owned(), to: "b@example.com".to_owned(), bytes: b"Subject: x\r\n\r\nx".to_vec() }
}

/// A server that answers each request with `answer` (nothing: it hangs up; `None`: it never answers), and counts.
async fn server(answer: Option<&'static str>) -> (u16, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 16 * 1024]).await;
            let _ = sender.send(());
            match answer {
                Some(answer) => socket.write_all(answer.as_bytes()).await.unwrap(),
                None => kept.push(socket),
            }
        }
    });
    (port, requests)
}

async fn outcome(answer: Option<&'static str>) -> (MailFailure, String) {
    let (port, mut requests) = server(answer).await;
    let error = mailer(port).send(mail()).await.unwrap_err();
    // Never asked twice, whatever went wrong.
    requests.recv().await.unwrap();
    assert!(requests.try_recv().is_err(), "it was asked again after {error}");
    (error.kind, error.detail)
}

fn answer(status: &str, code: &str) -> &'static str {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>to ann@example.com</Message></Error></ErrorResponse>"
    );
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/xml\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    Box::leak(text.into_boxed_str())
}

#[tokio::test]
async fn what_ses_clearly_did_not_send_may_be_tried_again() {
    for (status, code) in [
        ("400 Bad Request", "Throttling"),
        ("503 Service Unavailable", "ThrottlingException"),
        ("400 Bad Request", "AccountSendingPausedException"),
        ("403 Forbidden", "ExpiredToken"),
        ("403 Forbidden", "AccessDenied"),
    ] {
        assert_eq!(outcome(Some(answer(status, code))).await.0, MailFailure::NotSent, "{code}");
    }
    // Nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(mailer(free).send(mail()).await.unwrap_err().kind, MailFailure::NotSent);
}

#[tokio::test]
async fn what_ses_refuses_is_final_and_says_nothing_about_the_address() {
    for code in ["MessageRejected", "InvalidParameterValue"] {
        let (kind, detail) = outcome(Some(answer("400 Bad Request", code))).await;
        assert_eq!((kind, detail), (MailFailure::Refused, format!("SES answers 400 {code}")));
    }
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_never_sent_again() {
    // It hangs up after the request, it never answers, it fails inside, it talks nonsense.
    for answer in [
        Some(""),
        None,
        Some(answer("500 Internal Server Error", "InternalFailure")),
        Some(answer("503 Service Unavailable", "ServiceUnavailable")),
        Some("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc"),
    ] {
        assert_eq!(outcome(answer).await.0, MailFailure::Unknown, "{answer:?}");
    }
}

use super::*;

fn templates() -> Templates {
    let config = MailConfig {
        from: "billing@skymeter.example".to_owned(),
        product: "Sky & Meter".to_owned(),
        frontend_url: "https://app.skymeter.example/".to_owned(),
        support: "help@skymeter.example".to_owned(),
    };
    Templates::new(config.checked().unwrap()).unwrap()
}

fn params(template: Template, value: &str, with_optional: bool) -> BTreeMap<String, String> {
    let Params { required, optional } = template.params();
    let optional = if with_optional { optional } else { &[] };
    let names = required.iter().chain(optional).chain(with_optional.then_some(&NAME));
    names.map(|name| ((*name).to_owned(), format!("{value}{name}"))).collect()
}

use domain::mail::Params;

/// The text of HTML, as a reader would see it.
fn unescaped(html: &str) -> String {
    let mut text = html.to_owned();
    for (entity, plain) in
        [("&#x2f;", "/"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&amp;", "&")]
    {
        text = text.replace(entity, plain);
    }
    text
}

#[test]
fn every_mail_says_all_it_is_told_in_text_and_in_html() {
    for template in Template::ALL {
        for with_optional in [false, true] {
            let params = params(template, "X", with_optional);
            let mail = templates().render(template, &params).unwrap();
            assert!(!mail.subject.is_empty() && mail.subject.len() < 80, "{}", mail.subject);
            for (name, value) in &params {
                assert!(mail.text.contains(value), "{template}: no {name} in {}", mail.text);
                assert!(mail.html.contains(value), "{template}: no {name} in {}", mail.html);
            }
            // One link, clickable, and readable in the text.
            let link = format!("https://app.skymeter.example{}", path(template, &params));
            assert!(mail.text.contains(&link), "{template}: {}", mail.text);
            assert!(unescaped(&mail.html).contains(&format!("<a href=\"{link}\"")), "{template}: {}", mail.html);
            assert!(mail.text.contains("Sky & Meter") && mail.html.contains("Sky &amp; Meter"));
            assert!(!mail.text.contains("{{") && !mail.html.contains("{{") && !mail.text.contains("{%"));
        }
    }
}

#[test]
fn no_parameter_becomes_markup_or_a_header() {
    let hostile = "<script>alert(1)</script>\r\nBcc: b@example.com\n\"' {{ 7 * 7 }} \u{202e}\u{0}";
    for template in Template::ALL {
        let mail = templates().render(template, &params(template, hostile, true)).unwrap();
        assert!(!mail.subject.chars().any(char::is_control), "{:?}", mail.subject);
        assert!(!mail.html.to_lowercase().contains("<script"), "{template}: {}", mail.html);
        assert!(!mail.text.contains("\nBcc") && !mail.html.contains("\nBcc"), "{template}");
        assert!(
            !mail.text.contains("49") && !mail.text.contains('\u{202e}') && !mail.text.contains('\r'),
            "{template}"
        );
        // Nothing ends an attribute.
        for part in mail.html.split("href=\"").skip(1) {
            let link = part.split('"').next().unwrap();
            assert!(link.starts_with("https:") || link.starts_with("mailto:"), "{link}");
            assert!(!link.contains(['<', '>', '\'', ' ']), "{link}");
        }
    }
}

#[test]
fn a_name_with_a_link_in_it_is_not_greeted() {
    for name in ["Ann", "Dr. Ann O'Neil-Smith", "Ånn Łuk", "李雷"] {
        assert_eq!(greeted(name), name);
    }
    for name in ["http://evil.example", "evil.example", "Win $100", "a@b", "call 0800", "x".repeat(61).as_str()] {
        assert_eq!(greeted(name), "", "{name}");
    }
    let mail = templates().render(Template::Welcome, &BTreeMap::from([(NAME.to_owned(), "evil.example".to_owned())]));
    let mail = mail.unwrap();
    assert!(mail.text.starts_with("Hello,\n") && !mail.text.contains("evil") && !mail.html.contains("evil"));
}

#[test]
fn too_little_or_too_much_is_an_error_and_no_mail() {
    let none = BTreeMap::new();
    assert!(matches!(templates().render(Template::Receipt, &none), Err(RenderError::Params(_))));
    let mut all = params(Template::Receipt, "X", true);
    all.insert("html".to_owned(), "<b>".to_owned());
    assert!(matches!(templates().render(Template::Receipt, &all), Err(RenderError::Params(_))));
    // A value that a template asks for and nobody fills in.
    let mut broken = templates();
    broken.environment.add_template("welcome.txt", "Subject: x\n\n{{ nobody }}").unwrap();
    assert!(matches!(broken.render(Template::Welcome, &none), Err(RenderError::Template(_))));
}

#[test]
fn settings_that_would_break_every_mail_are_refused() {
    let good = templates().config;
    assert_eq!(good.frontend_url, "https://app.skymeter.example");
    let broken: [fn(&mut MailConfig); 6] = [
        |c| c.from = "billing".to_owned(),
        |c| c.from = "a@b.example, c@d.example".to_owned(),
        |c| c.product = "Sky\r\nBcc: x".to_owned(),
        |c| c.frontend_url = "app.skymeter.example".to_owned(),
        |c| c.frontend_url = "https://app.skymeter.example/\"><script>".to_owned(),
        |c| c.support = String::new(),
    ];
    for break_it in broken {
        let mut config = good.clone();
        break_it(&mut config);
        assert!(config.clone().checked().is_err(), "{config:?}");
    }
}

//! Tests of single cases of redaction.

use super::*;

/// Redacts without the list of secrets that all tests of this process share.
fn redact(secrets: &[&str], text: &str) -> String {
    let secrets: Vec<_> = secrets.iter().map(|secret| secret.as_bytes()).collect();
    replace(text, Search::new(&secrets, text.len()).ranges(text.as_bytes())).into_owned()
}

fn line(secrets: &[&str], text: &str) -> String {
    let secrets: Vec<_> = secrets.iter().map(|secret| secret.as_bytes()).collect();
    redact_line(text, &secrets, &[]).into_owned()
}

#[test]
fn password_is_redacted_in_every_spelling() {
    remember(r#"p'a"s\s-word"#);
    for text in [
        r#"IDENTIFIED BY 'p''a"s\\s-word'"#,
        r#"near "p'a"s\s-word""#,
        r#"IDENTIFIED BY 'p''a"s\s-word'"#,
        r#"{"message":"p'a\"s\\s-word"}"#,
    ] {
        let masked = mask(text);
        assert!(masked.contains(MASK) && !masked.contains("s-word"), "{masked}");
    }
}

#[test]
fn password_inside_a_longer_one_is_fully_redacted() {
    remember("inner-secret");
    remember("outer-inner-secret-tail");
    assert_eq!(mask("x outer-inner-secret-tail y"), "x **** y");
}

#[test]
fn escapes_of_databases_and_documents_are_read() {
    let secret = "p'a\"s\\s&w+o%r d\u{e9}\u{1f511}";
    for spelling in [
        r#"p\'a\"s\\s&w+o%r d\u00e9\ud83d\udd11"#,
        r#"p\x27a\x22s\x5cs&w+o%r d\303\251\xf0\x9f\x94\x91"#,
        r#"p&#39;a&quot;s\s&amp;w+o%r d&#xE9;&#128273;"#,
        r#"p&apos;a&#34;s\s&amp;amp;w+o%r dé🔑"#,
        r#"p%2527a%22s%5C%5Cs%26w%2Bo%25r+d%C3%A9%F0%9F%94%91"#,
        r#"p\\\\\\\'a\\\"s\\\\\\\\s&w+o%r d\\u{e9}\\u{1f511}"#,
        "p''a\"\"s\\s&w+o%r d?\u{fffd}\u{fffd}",
        "cCdhInNcc\\nyZ3K28lciBkw6nwn5SR",
        "cCdhInNccyZ3K28lciBkw6nwn5SR",
        "cCdhInNc\ncyZ3K28lciBkw6nwn5SR",
        "0x702761225C73",
    ] {
        let redacted = redact(&[secret, "p'a\"\\s"], &format!("near [{spelling}] at"));
        let shown = redacted.trim_start_matches("near [").trim_end_matches("] at");
        // These spellings are not recognized.
        let shown_as_text = ["cCdhInNcc\\nyZ3K28lciBkw6nwn5SR", "0x702761225C73"];
        let is_expected = shown.ends_with(MASK) || shown_as_text.contains(&spelling);
        assert!(is_expected, "{spelling}: {redacted}");
    }
}

#[test]
fn wide_characters_in_hexadecimal_digits_are_read() {
    assert_eq!(
        redact(&["pw-wide"], "PASSWORD = 0x700077002D0077006900640065000000"),
        "PASSWORD = 0x****"
    );
}

#[test]
fn truncated_quotations_are_redacted_but_words_are_not() {
    let secret = "K3-qV7.xW9_tZ2~mB5";
    for text in
        ["near 'xW9_tZ2~mB5' WITH", "near '.xW9_tZ2~", "LINE 1: ...xW9_tZ2~m...", "'K3-qV7.xW9"]
    {
        let redacted = redact(&[secret], text);
        assert!(redacted.contains(MASK) && !redacted.contains("xW9"), "{redacted}");
    }
    // These stay visible: a word with which a password starts, a part that is not at the end of a
    // quotation, and a short part.
    for text in ["role 'postgres' is", "K3-qV7.xx and", "'K3-qV7'"] {
        assert_eq!(redact(&["postgres-1234567", secret], text), text);
    }
}

#[test]
fn short_secrets_are_not_redacted_in_lines() {
    remember("level");
    let text = r#"{"level":"INFO","message":"level"}"#;
    assert_eq!(mask_line(text), text);
    assert!(!mask(text).contains("level"));
    Arc::make_mut(&mut known()).retain(|known| known.text.as_str() != "level");
}

#[test]
fn json_line_keeps_its_quotes_and_escapes() {
    for (secret, text, expected) in [
        ("abcdefg\\", r#"{"m":"abcdefg\"x"}"#, r#"{"m":"****x"}"#),
        ("abcdef7\"", r#"{"m":"abcdef7","n":1}"#, r#"{"m":"****","n":1}"#),
        ("0041abcdefg", r#"{"m":"\u0041abcdefg"}"#, r#"{"m":"****"}"#),
        ("123456789", r#"{"m":123456789,"n":[1]}"#, r#"{"m":"****","n":[1]}"#),
        ("nabcdefg", r#"{"m":"a\nabcdefg"}"#, r#"{"m":"a****"}"#),
    ] {
        assert_eq!(line(&[secret], text), expected);
    }
}

#[test]
fn document_values_are_registered_but_names_are_not() {
    let document = r#"{"engine":"postgres-of-docs","host":"db.docs.example","username":"docs-user",
        "password":"pw7","apiKey":"docs-\"api\"-key","owner":"docs-user",
        "url":"pg://db.docs.example:5432/","deep":[{"pin":1234567890,"flag":"yes"}]}"#;
    register_document(document);
    let holds = |text: &str| {
        let is_it = |known: &Known| known.text.as_str() == text && known.kind != Kind::Open;
        known().iter().any(is_it)
    };
    assert!(holds("pw7") && holds("docs-\"api\"-key") && holds("1234567890"));
    for open in ["postgres-of-docs", "db.docs.example", "docs-user", "yes"] {
        assert!(!holds(open), "{open}");
    }
    assert!(holds("pg://db.docs.example:5432/"));
    // The host is part of the value but not secret.
    let text = "could not connect to 'db.docs.example' as 'docs-user'";
    assert_eq!(mask_line(text), text);
    Arc::make_mut(&mut known()).retain(|known| known.text.as_str() != "pw7");
}

#[test]
fn credentials_are_registered_and_placeholders_are_not() {
    register_credentials(&|name| match name {
        "AWS_SECRET_ACCESS_KEY" => Some("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
        "AWS_SESSION_TOKEN" => Some("local".to_owned()),
        _ => None,
    });
    let lasting: Vec<_> =
        known().iter().filter(|known| known.kind == Kind::Credential).cloned().collect();
    assert_eq!(lasting.len(), 1);
    assert!(mask("x-amz-key:wJalrXUtnFEMI%2FK7MDENG\\/bPxRfiCYEXAMPLEKEY\n").contains(MASK));
}

#[test]
fn text_that_exhausts_the_search_is_never_redacted_in_part() {
    let text = "'".repeat(60_000);
    let redacted = redact(&[&format!("{}x", "'".repeat(60))], &text);
    assert!(redacted == MASK || redacted == text, "{}", redacted.len());
}

#[test]
fn own_words_and_short_flags_of_a_document_stay_visible() {
    register_document(
        r#"{"rotation_type":"single-user","password_rotated":"no","host":"h",
            "password":"p4-of-own-words"}"#,
    );
    let line = r#"{"Strategy":"single-user","Duration":1,"message":"nobody, p4-of-own-words"}"#;
    let redacted = mask_line(line);
    assert!(redacted.contains(r#""Strategy":"single-user""#), "{redacted}");
    assert!(redacted.contains("nobody, ****"), "{redacted}");
    assert_eq!(mask("Access denied for nobody"), "Access denied for nobody");
}

#[test]
fn keys_of_a_line_stay_visible() {
    let redacted = line(&["Duration"], r#"{"Duration":"Duration"}"#);
    assert_eq!(redacted, r#"{"Duration":"****"}"#);
}

//! The name of a download is its uploader's, and safe for a directory.

use matricula_api::Content;

fn name(disposition: &str) -> Option<String> {
    let content = Content {
        content_disposition: Some(disposition.to_owned()),
        ..Content::default()
    };
    content.file_name()
}

#[test]
fn header_forms_are_read() {
    for (header, expected) in [
        ("attachment; filename=cat.png", Some("cat.png")),
        ("inline;filename=\"my cat.png\"", Some("my cat.png")),
        ("inline; FileName = cat.png ; x=y", Some("cat.png")),
        (r#"inline; filename="a \"b\" c""#, Some("a _b_ c")),
        (r#"inline; filename="a;b=c.png""#, Some("a;b=c.png")),
        ("inline; filename*=UTF-8''caf%C3%A9.png", Some("café.png")),
        (
            "inline; filename*=utf-8'en'%e2%82%ac%20x.txt",
            Some("€ x.txt"),
        ),
        ("inline; filename*=iso-8859-1''caf%E9.png", Some("café.png")),
        (
            "inline; filename=plain.png; filename*=UTF-8''b%C3%A4r.png",
            Some("bär.png"),
        ),
        // An unknown encoding, and one that is not there.
        (
            "inline; filename=plain.png; filename*=koi8-r''%c2.png",
            Some("plain.png"),
        ),
        (
            "inline; filename=plain.png; filename*=oops",
            Some("plain.png"),
        ),
        (
            "inline; filename*=UTF-8''%ff%fe.png",
            Some("\u{fffd}\u{fffd}.png"),
        ),
        ("inline; filename=\"no end.png", Some("no end.png")),
        ("inline", None),
        ("inline; filename=", None),
        ("inline; filename=\"\"", None),
        ("", None),
        ("filename", None),
        (";;;=;\"", None),
    ] {
        assert_eq!(name(header).as_deref(), expected, "{header}");
    }
}

#[test]
fn unsafe_names_become_safe() {
    for (sent, expected) in [
        ("../../etc/passwd", Some("passwd")),
        ("/etc/cron.d/x", Some("x")),
        ("..\\..\\x.exe", Some("x.exe")),
        ("C:\\Windows\\x.exe", Some("x.exe")),
        ("C:x.exe", Some("C_x.exe")),
        ("cat.png:stream", Some("cat.png_stream")),
        ("dir/", None),
        ("..", None),
        ("/", None),
        (".", None),
        ("   ", None),
        (".bashrc", Some("bashrc")),
        ("...x", Some("x")),
        (" .ssh", Some("ssh")),
        ("-rf", Some("rf")),
        ("--help", Some("help")),
        ("~root", Some("root")),
        ("cat.png. . ", Some("cat.png")),
        ("a\nb\u{1b}[31m\tc.png", Some("ab[31mc.png")),
        ("cat\u{0}.png", Some("cat.png")),
        ("gnp.\u{202e}exe", Some("gnp.exe")),
        (
            "a\u{2066}b\u{200f}c\u{61c}d\u{feff}e\u{200b}",
            Some("abcde"),
        ),
        ("\u{9b}31m", Some("31m")),
        ("NUL", Some("_NUL")),
        ("con.txt", Some("_con.txt")),
        ("com1.png", Some("_com1.png")),
        ("LPT\u{b9}", Some("_LPT\u{b9}")),
        ("common.png", Some("common.png")),
        ("a|b?c*d<e>f", Some("a_b_c_d_e_f")),
        ("日本 🙂.png", Some("日本 🙂.png")),
    ] {
        let encoded: String = sent.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let header = format!("attachment; filename*=UTF-8''{encoded}");
        assert_eq!(name(&header).as_deref(), expected, "{sent:?}");
    }
}

#[test]
fn long_names_keep_their_ending() {
    for (letter, ending, length) in [("a", ".png", 200), ("é", ".tar.gz", 199), ("🙂", "", 200)]
    {
        let long = letter.repeat(5_000) + ending;
        let name = name(&format!("inline; filename={long}")).unwrap();
        assert_eq!(name.len(), length, "{letter}");
        let last = ending.rsplit('.').next().unwrap();
        assert!(name.ends_with(last), "{name}");
    }
    // What follows the dot is no ending.
    let name = name(&format!("inline; filename=a.{}", "b".repeat(500))).unwrap();
    assert_eq!(name.len(), 200);
}

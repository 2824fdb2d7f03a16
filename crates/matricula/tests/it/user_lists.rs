//! Lists of users: what spreadsheets write is read, and what may mean something else is an error.

use matricula::bulk::{NewRow, Route, RowError, UserList, check_rows, read_csv};

fn read(text: &str) -> Result<UserList, Vec<RowError>> {
    read_csv(text.as_bytes())
}

/// The lines of a list, and for each the fields that are set.
fn shown(list: &UserList) -> Vec<String> {
    let field = |name: &str, value: Option<&str>| match value {
        Some(value) => format!(" {name}={value}"),
        None => String::new(),
    };
    let row = |row: &NewRow| {
        let password = row.password.as_ref().map(|password| password.expose());
        format!(
            "{} {}{}{}{}{}",
            row.line,
            row.username,
            field("p", password),
            field("d", row.display_name.as_deref()),
            field("e", row.email.as_deref()),
            if row.is_admin { " admin" } else { "" },
        )
    };
    list.rows.iter().map(row).collect()
}

#[track_caller]
fn assert_rows(text: &[u8], expected: &[&str]) {
    let shown_text = String::from_utf8_lossy(text).into_owned();
    match read_csv(text) {
        Ok(list) => assert_eq!(shown(&list), expected, "{shown_text:?}"),
        Err(errors) => panic!("{shown_text:?}: {errors:?}"),
    }
}

#[test]
fn misplaced_quotes_are_errors() {
    for (list, line, words) in [
        // The quote of the issue: the rows after it would be a display name.
        (
            "username,displayname\nqb1,One\nqb2,\"Unclosed\nqb3,Three\nqb4,Four\n",
            3,
            "never closed",
        ),
        ("username,displayname\nqb1,\"", 2, "never closed"),
        ("username,displayname\nqb1,\"\"\"", 2, "never closed"),
        (
            "username,displayname\nqb1,\"a\"\"\nqb2,b\n",
            2,
            "never closed",
        ),
        ("\"username,displayname\nqb1,a\n", 1, "never closed"),
        ("username,displayname\n\"qb1,a\nqb2,b\n", 2, "never closed"),
        (
            "username;displayname\r\nqb1;\"a\r\nqb2;b\r\n",
            2,
            "never closed",
        ),
        ("username,note\nqb1,\"lost\nqb2,x\n", 2, "never closed"),
        // Another quote ends it, in another row.
        (
            "username,displayname\nqb2,\"Unclosed\nqb3,\"Three\"\n",
            2,
            "text follows the closing quote of a cell that is opened here, in line 3",
        ),
        ("username,note\nqb2,\"lost\nqb3,\"Three\"\n", 2, "in line 3"),
        (
            "username,displayname\nqb2,\"Unclosed\nqb3,\"\n",
            2,
            "its displayname contains a line break",
        ),
        (
            "username,displayname\nqb1,\"Ann\" Smith\n",
            2,
            "text follows",
        ),
        ("username,displayname\nqb1,\"Ann\"x\n", 2, "text follows"),
        ("username,displayname\nqb1,\"Ann\" \n", 2, "text follows"),
        (
            "username,displayname\nqb1,\"Ann\"\"\"x\n",
            2,
            "text follows",
        ),
        (
            "username,displayname\n\"qb1\"\"\"\"x,Ann\n",
            2,
            "never closed",
        ),
        (
            "username\tdisplayname\nqb1\t\"Ann\" \"Smith\"\n",
            2,
            "text follows",
        ),
        (
            "username,displayname\nqb1, \"Smith, Ann\"\n",
            2,
            "spaces stand before",
        ),
        // In a column that is ignored too.
        (
            "username,note\nqb2,\"Unclosed\nqb3,Three\"\nqb4,x\n",
            2,
            "one reads like a row",
        ),
        (
            "username;note;\nqb2;\"Unclosed;\nqb3;Three;\nqb4;\";\n",
            2,
            "one reads like a row",
        ),
        (
            "username\t\nqb1\t\nqb2\t\"Unclosed\nqb3\t\"\n",
            3,
            "one reads like a row",
        ),
        // It is reported with the errors before it; after it, no row is known.
        (
            "username,admin\nqb1,maybe\nqb2,\"\nqb3,maybe\n",
            2,
            "use true or false",
        ),
    ] {
        let errors = read(list).unwrap_err();
        assert_eq!(errors[0].line, line, "{list:?}: {errors:?}");
        assert!(errors[0].message.contains(words), "{list:?}: {errors:?}");
    }
    let errors = read("username,admin\nqb1,maybe\nqb2,\"\nqb3,maybe\n").unwrap_err();
    let lines: Vec<u64> = errors.iter().map(|error| error.line).collect();
    assert_eq!(lines, [2, 3]);
}

#[test]
fn quotes_are_read_as_written() {
    for (list, expected) in [
        (
            "username,displayname\na,\"Smith, Ann\"\n",
            "2 a d=Smith, Ann",
        ),
        (
            "username,displayname\na,\"Ann \"\"Ace\"\" Lee\"\n",
            "2 a d=Ann \"Ace\" Lee",
        ),
        ("username,displayname\na,\"\"\"Ace\"\"\"", "2 a d=\"Ace\""),
        ("\"username\",\"displayname\"\n\"a\",\"\"\n", "2 a"),
        // Not at the start of a cell, a quote is a letter: tables without quoting have it so.
        (
            "username\tdisplayname\na\tAnn \"Ace\" Lee\n",
            "2 a d=Ann \"Ace\" Lee",
        ),
        ("username,password\na,pa\"ss\n", "2 a p=pa\"ss"),
        ("username,displayname\na,it's\n", "2 a d=it's"),
    ] {
        assert_rows(list.as_bytes(), &[expected]);
    }
}

#[test]
fn forms_of_spreadsheets_are_read() {
    let expected = &["2 ann p=pw; 1 d=Ann e=ann@x.org admin", "3 bob"];
    for list in [
        "username,password,displayname,email,admin\nann,pw; 1,Ann,ann@x.org,yes\nbob,,,,\n",
        "username;password;displayname;email;admin\r\nann;\"pw; 1\";Ann;ann@x.org;TRUE\r\nbob;;;;\r\n",
        "username\tpassword\tdisplayname\temail\tadmin\rann\tpw; 1\tAnn\tann@x.org\t1\rbob\t\t\t\t",
        "Email,Admin,User name,PASSWORD,Display name\nann@x.org,true,ann,pw; 1,Ann\n,,bob,,\n",
        "e-mail;admin;user_name;password;display_name\nann@x.org;yes;ann;\"pw; 1\";Ann\n;no;bob;;\n",
        " username ,password, displayname ,email,admin\n ann ,pw; 1,Ann, ann@x.org ,Yes\nbob,,,,0\n",
        // Columns that were made larger than the list.
        "username,password,displayname,email,admin,,\nann,pw; 1,Ann,ann@x.org,yes,,\nbob,,,,,,\n",
        "username,password,displayname,email,admin\nann,pw; 1,Ann,ann@x.org,yes,,\nbob,,,,,,,\n",
    ] {
        for mark in ["", "\u{feff}"] {
            let text = format!("{mark}{list}");
            assert_rows(text.as_bytes(), expected);
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_rows(&big, expected);
            assert_rows(&little, expected);
        }
    }
    let excel = "sep=;\r\nusername;displayname\r\nann;\"A;B\"\r\n";
    assert_rows(excel.as_bytes(), &["3 ann d=A;B"]);
    assert_rows(b"username\t\nann\t\n", &["2 ann"]);
    assert_rows(b"sep=|\nusername|displayname\nann|A,B\n", &["3 ann d=A,B"]);
}

#[test]
fn blank_lines_are_no_rows() {
    for list in [
        "username,displayname\nann,\n\n\nbob,\n",
        "username,displayname\nann,\n,\n,\nbob,\n,\n,,,\n",
        "username,displayname\nann,\n  \n , \nbob,\n\n",
        "username,displayname\nann,\n\"\",\"\"\n\t\nbob,\n",
        "\n\nusername,displayname\nann,\nbob,",
        "username;displayname\r\nann;\r\n;\r\n\r\nbob;\r\n\r\n",
    ] {
        let list = read(list).unwrap();
        let names: Vec<&str> = list.rows.iter().map(|row| row.username.as_str()).collect();
        assert_eq!(names, ["ann", "bob"]);
    }
    // The lines are those of the file.
    let list = read("username,displayname\n\nann,\n,\n\"bob\",\"B\"\n").unwrap();
    assert_eq!(shown(&list), ["3 ann", "5 bob d=B"]);
    // A row with something in it, but no name, is one.
    let list = read("username,displayname\n,Ann\n").unwrap();
    let errors = check_rows(&list.rows, Route::Admin, None);
    assert!(
        errors[0].message.contains("username is empty"),
        "{errors:?}"
    );
}

#[test]
fn unknown_columns_are_named() {
    for (list, ignored) in [
        ("username,class\nann,4b\n", &["class"][..]),
        (
            "Klasse;username;Notiz\n4b;ann;\"zwei\nZeilen\"\n",
            &["Klasse", "Notiz"],
        ),
        ("username,pasword\nann,x\n", &["pasword"]),
        // Without a name, it is ignored in silence as long as nothing is in it.
        ("username,,\nann,,\n", &[]),
        ("username,,\nann,,x\n", &["column 3"]),
        ("class,class,username\n1,2,ann\n", &["class", "class"]),
    ] {
        let list = read(list).unwrap();
        assert_eq!(list.ignored_columns, ignored);
        assert_eq!(list.rows.len(), 1);
        assert_eq!(list.rows[0].username, "ann");
        assert_eq!(list.rows[0].password, None);
    }
}

#[test]
fn what_is_no_list_is_refused() {
    let utf16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let odd = [utf16("username\nann\n"), vec![0x61]].concat();
    let surrogate = [utf16("username\nann\n"), vec![0x00, 0xd8, 0x61, 0x00]].concat();
    for (list, line, words) in [
        (&b""[..], 1, "empty"),
        (b"\xef\xbb\xbf", 1, "empty"),
        (b"\n\n\n", 1, "empty"),
        (b"username\n", 1, "no rows"),
        (b"username\n,,\n\n", 1, "no rows"),
        (b"name\nann\n", 1, "the column \"username\" is missing"),
        (b"ann,Ann\nbob,Bob\n", 1, "is missing"),
        (b"username,User name\nann,ann\n", 1, "named twice"),
        (b"username,email,E-Mail\nann,,\n", 1, "named twice"),
        (
            b"username,displayname\nann,Smith, Ann\n",
            2,
            "it has 3 fields",
        ),
        (b"username,displayname\nann\n", 2, "it has 1 field, but"),
        (b"username\nann\ng\xfcn\n", 3, "is not UTF-8"),
        (&odd, 3, "is not UTF-16"),
        (&surrogate, 3, "is not UTF-16"),
        (b"PK\x03\x04\x14\x00\x06\x00", 1, "save the list as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", 1, "save the list as CSV"),
        (b"username,admin\nann,perhaps\n", 2, "use true or false"),
    ] {
        let errors = read_csv(list).unwrap_err();
        let shown = String::from_utf8_lossy(list);
        assert_eq!(errors[0].line, line, "{shown:?}: {errors:?}");
        assert!(errors[0].message.contains(words), "{shown:?}: {errors:?}");
    }
}

#[test]
fn line_breaks_and_controls_in_fields_are_errors() {
    for column in ["username", "password", "displayname", "email"] {
        for (inside, words) in [
            ("a\nb", "a line break"),
            ("a\r\nb", "a line break"),
            ("a\rb", "a line break"),
            ("\n", "a line break"),
            ("a\u{2028}b", "a line break"),
            ("a\tb", "a tab"),
            ("a\u{1b}[31m", "the control character '\\u{1b}'"),
            ("a\u{0}b", "the control character '\\0'"),
            ("a\u{9b}b", "the control character"),
        ] {
            let mut fields = vec!["qb1".to_owned(), String::new()];
            let mut names = vec!["username", column];
            fields[1] = format!("\"{inside}\"");
            if column == "username" {
                names.remove(0);
                fields.remove(0);
            }
            // A field with nothing else would be a blank row.
            names.push("admin");
            fields.push("no".to_owned());
            let list = format!("{}\n{}\n", names.join(","), fields.join(","));
            let errors = read(&list).unwrap_err();
            assert_eq!(errors[0].line, 2, "{list:?}");
            let expected = format!("its {column} contains {words}");
            assert!(
                errors[0].message.contains(&expected),
                "{list:?}: {errors:?}"
            );
        }
    }
}

#[test]
fn one_plain_address_per_row() {
    let check = |email: &str| {
        let mut row = NewRow::new(2, "ann");
        row.email = Some(email.to_owned());
        check_rows(&[row], Route::Admin, None)
    };
    for email in [
        "ann@example.org",
        "a.b+c@x-y.example.org",
        "o'hara@example.org",
        "ann@localhost",
        "ann@münchen.example",
        "jürgen@example.org",
        "abc.@example.org",
    ] {
        assert_eq!(check(email), [], "{email}");
    }
    for (email, words) in [
        ("mailto:ann@example.org", "without mailto:"),
        ("MAILTO:ann@example.org", "without mailto:"),
        ("ann@x.org,bob@x.org", "not one email address"),
        ("ann@x.org; bob@x.org", "not one email address"),
        ("ann@x.org bob@x.org", "not one email address"),
        ("ann@x.org/bob@x.org", "not one email address"),
        ("ann@x.org\nbob@x.org", "not one email address"),
        ("ann@@x.org", "not one email address"),
        ("Ann <ann@x.org>", "not an email address"),
        ("<ann@x.org>", "not an email address"),
        ("ann@x.org,", "not an email address"),
        ("ann@x.org;", "not an email address"),
        ("ann@x.org ", "not an email address"),
        ("\"ann\"@x.org", "not an email address"),
        ("ann(work)@x.org", "not an email address"),
        ("ann@x..org", "not an email address"),
        ("ann@.org", "not an email address"),
        ("ann@", "not an email address"),
        ("@x.org", "not an email address"),
        ("ann", "not an email address"),
        ("http://x.org", "not an email address"),
        ("tel:+4912345", "not an email address"),
    ] {
        let errors = check(email);
        assert_eq!(errors.len(), 1, "{email}: {errors:?}");
        assert!(errors[0].message.contains(words), "{email}: {errors:?}");
    }
}

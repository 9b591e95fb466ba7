//! What is written as YAML reads back as the same, by a parser that is not ours.

use vocabulary::formats::yaml::{Yaml, write};
use yaml_rust2::Yaml as Read;
use yaml_rust2::YamlLoader;

fn read(text: &str) -> Read {
    let mut documents = YamlLoader::load_from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

/// What the parser must find.
fn expected(value: &Yaml) -> Read {
    match value {
        Yaml::Boolean(flag) => Read::Boolean(*flag),
        Yaml::Integer(number) => Read::Integer(*number),
        Yaml::Decimal(number) => Read::Real(number.clone()),
        Yaml::Text(text) => Read::String(text.clone()),
        Yaml::Sequence(items) => Read::Array(items.iter().map(expected).collect()),
        Yaml::Mapping(entries) => Read::Hash(
            entries.iter().map(|(key, value)| (Read::String(key.clone()), expected(value))).collect(),
        ),
        Yaml::Commented(value, _) => expected(value),
    }
}

fn reads_back(value: &Yaml) {
    let text = write(&["made".to_owned()], value);
    assert_eq!(read(&text), expected(value), "{text}");
}

/// A text in every place where one can stand.
fn everywhere(text: &str) {
    let own = || Yaml::text(text);
    reads_back(&Yaml::Mapping(vec![
        (text.to_owned(), Yaml::Integer(1)),
        ("value".to_owned(), own()),
        ("share".to_owned(), Yaml::Decimal("0.75".to_owned())),
        ("list".to_owned(), Yaml::Sequence(vec![own(), Yaml::Sequence(vec![own(), own()]), own()])),
        (
            "inner".to_owned(),
            Yaml::Sequence(vec![Yaml::mapping([("a", own()), ("b", Yaml::Sequence(vec![own()]))])]),
        ),
        ("commented".to_owned(), Yaml::Commented(Box::new(own()), "why: [x] # y".to_owned())),
    ]));
    reads_back(&own());
}

#[test]
fn every_short_text_of_special_characters_reads_back() {
    let alphabet: Vec<char> = "a1 \n:#-?,[]{}&*!|>'\"%@`~.=<\\\t/_+".chars().collect();
    for first in &alphabet {
        reads_back(&Yaml::text(first.to_string()));
        for second in &alphabet {
            everywhere(&[*first, *second].iter().collect::<String>());
            // All third characters in one document: a parse for each would take long.
            let texts: Vec<String> =
                alphabet.iter().map(|third| [*first, *second, *third].iter().collect()).collect();
            reads_back(&Yaml::Sequence(texts.iter().map(Yaml::text).collect()));
            reads_back(&Yaml::Mapping(texts.iter().map(|text| (text.clone(), Yaml::text(text))).collect()));
        }
    }
}

#[test]
fn texts_that_look_like_something_else_read_back() {
    for text in [
        "",
        "true",
        "False",
        "yes",
        "NO",
        "on",
        "off",
        "null",
        "Null",
        "~",
        "y",
        "N",
        "1",
        "1.0",
        "0x1f",
        "0o17",
        "1e3",
        "-1",
        "+1",
        ".5",
        ".inf",
        "-.inf",
        ".NaN",
        "1_000",
        "12:30:45",
        "2001-01-01",
        "0 3 * * 1",
        "<<",
        "=",
        "---",
        "...",
        "--- a",
        "... a",
        "- a",
        "a: b",
        "a #b",
        "a:",
        "a\n",
        "a\nb",
        "a\nb\n",
        "a\n\nb",
        "a\n\n",
        "\na",
        " a\nb",
        "a\n b",
        "a \nb ",
        "\ta\nb",
        "a\n\tb\n",
        "a\r\nb",
        "#a\nb",
        "- a\n- b\n",
        "---\na",
        "a\n---\nb",
        "a\n...\n",
        "\u{85}",
        "a\n\u{2028}b",
        "\u{feff}a",
        "é\nü",
        "😀",
        "\u{0}",
        "\u{7f}",
        "a\n\u{1b}[31m",
        "\u{9f}\nx",
        "${{ x }}",
        "%TAG",
        "if [ \"$A\" = b ]; then\n  echo 'c'\nfi\n",
    ] {
        everywhere(text);
    }
}

#[test]
fn nested_and_empty_collections_read_back() {
    let deep = (0..20).fold(Yaml::text("x"), |inner, depth| match depth % 3 {
        0 => Yaml::Sequence(vec![inner, Yaml::Boolean(false)]),
        1 => Yaml::mapping([("a", inner), ("b", Yaml::Integer(-3))]),
        _ => Yaml::Sequence(vec![Yaml::Mapping(vec![]), inner, Yaml::Sequence(vec![])]),
    });
    reads_back(&deep);
    reads_back(&Yaml::Mapping(vec![]));
    reads_back(&Yaml::Sequence(vec![Yaml::Sequence(vec![Yaml::Sequence(vec![])])]));
    reads_back(&Yaml::Integer(i64::MIN));
}

#[test]
fn a_comment_behind_a_collection_or_of_two_lines_is_a_defect() {
    let behind = |value: Yaml, comment: &str| Yaml::Commented(Box::new(value), comment.to_owned());
    for value in [
        behind(Yaml::Sequence(vec![Yaml::Integer(1)]), "lost"),
        behind(Yaml::mapping([("a", Yaml::Integer(1))]), "lost"),
        behind(Yaml::Integer(1), "a\nb: 2"),
    ] {
        assert!(std::panic::catch_unwind(|| write(&[], &value)).is_err(), "{value:?}");
    }
    assert!(std::panic::catch_unwind(|| write(&["a\nb: 1".to_owned()], &Yaml::Integer(1))).is_err());
}

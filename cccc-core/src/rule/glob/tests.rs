use proptest::prelude::*;

use super::*;

fn overlap(a: &str, b: &str) -> bool {
    let (a, b) = (Glob::parse(a).unwrap(), Glob::parse(b).unwrap());
    assert_eq!(a.overlaps(&b), b.overlaps(&a), "{a:?} {b:?}");
    a.overlaps(&b)
}

#[test]
fn patterns_that_overlap_and_that_do_not() {
    for (a, b, expected) in [
        ("src/**", "src/a.rs", true),
        ("src/**", "src", true),
        ("src", "src/a/b.rs", true),
        ("src/", "src/a.rs", true),
        ("./src//a.rs", "src/a.rs", true),
        ("src/a.rs", "src/b.rs", false),
        ("*.rs", "src/*", false),
        ("**/*.rs", "src/*", true),
        ("**/*.rs", "src/*.md", false),
        ("src/*", "src/a/b", false),
        ("src/*", "src/a", true),
        ("a/**/z", "a/z", true),
        ("a/**/z", "**/y/z", true),
        ("a/**/z", "b/**", false),
        ("**", "anything/at/all", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("a*c*e", "*b*d*", true),
        ("a*b", "a*c", false),
        ("*a", "b*", true),
        ("README.md", "readme.MD", true),
        ("*/*", "a", true),
        ("*/*", "*.rs", false),
        ("src/lib", "src/library", false),
    ] {
        assert_eq!(overlap(a, b), expected, "{a} {b}");
    }
}

#[test]
fn what_is_no_pattern_is_refused_with_the_reason() {
    let long = "x".repeat(MAX_GLOB_BYTES + 1);
    for (text, reason) in [
        ("", "empty"),
        ("./", "empty"),
        ("/etc/passwd", "absolute"),
        ("C:/x", "absolute"),
        ("../x", "leave"),
        ("a/../b", "leave"),
        ("a[bc]", "'['"),
        ("{a,b}", "'{'"),
        ("!a", "'!'"),
        ("a\\b", "'\\\\'"),
        ("a\nb", "'\\n'"),
        ("a**", "whole names"),
        (long.as_str(), "at most 256"),
    ] {
        let error = Glob::parse(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text:?}: {error}");
    }
    assert_eq!(Glob::parse("./a//**/**/b/").unwrap().as_str(), "a/**/b");
}

/// All paths of up to three names, each of up to two of the letters a and b.
fn small_paths() -> Vec<String> {
    let names = ["a", "b", "aa", "ab", "ba", "bb"];
    let mut paths: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut last = paths.clone();
    for _ in 0..2 {
        last = last.iter().flat_map(|path| names.map(|name| format!("{path}/{name}"))).collect();
        paths.extend(last.iter().cloned());
    }
    paths
}

/// A matcher written the slow way: tries every split.
fn naive(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => (0..=path.len()).any(|n| naive(rest, &path[n..])),
        (Some((name, rest)), Some((first, others))) => {
            naive_name(name.as_bytes(), first.as_bytes()) && naive(rest, others)
        }
        _ => false,
    }
}

fn naive_name(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|n| naive_name(rest, &name[n..])),
        (Some((p, rest)), Some((c, others))) => (*p == b'?' || p == c) && naive_name(rest, others),
        _ => false,
    }
}

fn naive_matches(pattern: &str, path: &str) -> bool {
    let mut pattern: Vec<&str> = pattern.split('/').collect();
    if pattern.last().is_some_and(|name| !name.contains(['*', '?'])) {
        pattern.push("**");
    }
    naive(&pattern, &path.split('/').collect::<Vec<_>>())
}

fn pattern() -> impl Strategy<Value = String> {
    let name = prop_oneof!["[ab]{1,2}", "[ab*?]{1,2}".prop_filter("** is a name", |s| s != "**")];
    let segment = prop_oneof![3 => name, 1 => Just("**".to_owned())];
    prop::collection::vec(segment, 1..=3).prop_map(|names| names.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Matching agrees with the slow matcher on every small path.
    #[test]
    fn matching_agrees_with_trying_everything(text in pattern()) {
        let glob = Glob::parse(&text).unwrap();
        for path in small_paths() {
            prop_assert_eq!(glob.matches(&path), naive_matches(&text, &path), "{} {}", text, path);
        }
    }

    /// An overlap is never missed, and where the small paths are all that could be shared, none is claimed
    /// that is not there.
    #[test]
    fn overlap_agrees_with_trying_everything(a in pattern(), b in pattern()) {
        let (left, right) = (Glob::parse(&a).unwrap(), Glob::parse(&b).unwrap());
        let found = small_paths().iter().any(|path| naive_matches(&a, path) && naive_matches(&b, path));
        let said = left.overlaps(&right);
        prop_assert_eq!(said, right.overlaps(&left));
        prop_assert!(said || !found, "{} and {} share a path, and that was missed", a, b);
        let of_fixed_depth = |text: &str| !text.contains("**") && !text.ends_with(['a', 'b']);
        if of_fixed_depth(&a) || of_fixed_depth(&b) {
            prop_assert_eq!(said, found, "{} {}", a, b);
        }
    }

    /// With names of one letter only, every shared path is found among those of up to six names.
    #[test]
    fn overlap_of_depths_is_exact(
        a in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("**")], 1..=3),
        b in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("**")], 1..=3),
    ) {
        let (a, b) = (a.join("/"), b.join("/"));
        let said = Glob::parse(&a).unwrap().overlaps(&Glob::parse(&b).unwrap());
        let mut paths = vec![Vec::new()];
        let mut found = false;
        for _ in 0..6 {
            paths = paths
                .into_iter()
                .flat_map(|path: Vec<&str>| ["a", "b"].map(|name| [path.as_slice(), &[name]].concat()))
                .collect();
            found |= paths.iter().map(|path| path.join("/")).any(|p| naive_matches(&a, &p) && naive_matches(&b, &p));
        }
        prop_assert_eq!(said, found, "{} {}", a, b);
    }
}

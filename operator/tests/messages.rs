//! All texts that users may see, in one file for each kind, so that a reviewer reads them in one
//! place: `operator/messages`.
//!
//! The test reads the source: string literals with more than one word, outside of attributes, logs
//! and tests. `make generate` writes the files again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Item, ItemFn, ItemMod, LitStr, Macro, Token};

/// The folders of the source and the file with their texts. A folder with a kind has a file of its
/// own.
const SHARED: [(&str, &[&str]); 2] = [("driver", &["reconcile", "k8s"]), ("aws", &["aws"])];

/// Macros whose texts go to the log, or to nobody.
const SILENT: &[&str] = &[
    "debug",
    "error",
    "info",
    "trace",
    "warn",
    "assert",
    "assert_eq",
    "panic",
    "unreachable",
    "json",
];

#[derive(Default)]
struct Texts(Vec<String>);

impl<'ast> Visit<'ast> for Texts {
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let name = call
            .path
            .segments
            .last()
            .map(|segment| segment.ident.to_string())
            .unwrap_or_default();
        if SILENT.contains(&name.as_str()) {
            return;
        }
        // Arguments of format! and of macros like it are expressions.
        let arguments = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(call.tokens.clone());
        for argument in arguments.into_iter().flatten() {
            self.visit_expr(&argument);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        // A reason for a panic is for developers.
        if call.method == "expect" {
            self.visit_expr(&call.receiver);
        } else {
            visit::visit_expr_method_call(self, call);
        }
    }

    fn visit_lit_str(&mut self, literal: &'ast LitStr) {
        let text = literal.value();
        if text.trim().contains(' ') {
            self.0.push(text);
        }
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        meta => meta.path().is_ident("test"),
    })
}

/// The texts of a folder or file, with the file in which they stand.
fn texts(source: &Path, folder: &Path) -> String {
    let mut lines = String::new();
    for path in files(folder) {
        let file = syn::parse_file(&fs::read_to_string(&path).expect("a readable file"))
            .expect("valid Rust");
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests")
            || path.components().any(|part| part.as_os_str() == "tests");
        if is_test
            || file
                .items
                .iter()
                .all(|item| matches!(item, Item::Use(_) | Item::Mod(_)))
        {
            continue;
        }
        let mut texts = Texts::default();
        texts.visit_file(&file);
        if !texts.0.is_empty() {
            let name = path
                .strip_prefix(source)
                .expect("it is a part of the source")
                .display();
            lines.extend([name.to_string(), "\n".to_owned()]);
            lines.extend(
                texts
                    .0
                    .iter()
                    .map(|text| format!("  {}\n", text.replace('\n', "\\n"))),
            );
        }
    }
    lines
}

/// The Rust files of a folder in order; a file is its own.
fn files(folder: &Path) -> Vec<PathBuf> {
    if folder.is_file() {
        return vec![folder.to_owned()];
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("a readable folder").path();
        match path.extension() {
            None => files.extend(self::files(&path)),
            Some(extension) if extension == "rs" => files.push(path),
            Some(_) => {}
        }
    }
    files.sort();
    files
}

#[test]
fn messages_are_as_the_reviewed_files_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = root.join("src");
    let mut expected = BTreeMap::new();
    for (name, folders) in SHARED {
        expected.insert(
            name.to_owned(),
            folders
                .iter()
                .map(|folder| texts(&source, &source.join(folder)))
                .collect::<String>(),
        );
    }
    let kinds = fs::read_dir(source.join("kinds")).expect("the kinds are there");
    let mut kinds: Vec<_> = kinds
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    kinds.sort();
    for path in kinds {
        let name = path.file_name().expect("it has a name").to_string_lossy();
        // What kinds share stands beside their folders.
        let name = if path.is_dir() { &*name } else { "kinds" };
        let texts = texts(&source, &path);
        expected
            .entry(name.to_owned())
            .and_modify(|all| all.push_str(&texts))
            .or_insert(texts);
    }
    for (name, texts) in expected {
        let path = root.join("messages").join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_MESSAGES").is_some() {
            fs::write(&path, &texts).expect("it can be written");
        }
        let reviewed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            reviewed == texts,
            "{} is stale: run `make generate`, and read the change",
            path.display()
        );
    }
}

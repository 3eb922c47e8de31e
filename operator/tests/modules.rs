//! The modules of the operator import each other in one direction, and never in a circle.
//!
//! The test reads the source: `use` declarations and paths that begin with `crate` or `super`,
//! followed through re-exports to the module that defines the item. Code that is compiled for tests
//! alone does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use syn::visit::{self, Visit};

/// A module by its path, such as `aws::writer`; the root of the crate is empty.
type Module = String;

/// The parts of the crate from bottom to top. A part may import from itself and from what stands
/// before it; those that stand in one line may not import from each other.
const LAYERS: &[&[&str]] = &[
    &[
        "clock",
        "error",
        "http",
        "leadership",
        "metrics",
        "readiness",
        "trigger",
        "turns",
    ],
    &["aws", "k8s"],
    &["reconcile"],
    &["kinds"],
    &[
        "cli",
        "crd",
        "iam",
        "main",
        "process",
        "run",
        "settings",
        "work",
        "telemetry",
    ],
];

#[derive(Default)]
struct Source {
    /// Paths that the code of each module uses, from the root of the crate on.
    paths: BTreeMap<Module, Vec<Vec<String>>>,
    /// Modules that are compiled for tests alone.
    tests: BTreeSet<Module>,
    /// Names that a module re-exports, and what they stand for.
    exports: BTreeMap<(Module, String), Vec<String>>,
}

#[test]
fn modules_do_not_import_each_other_in_a_circle() {
    let edges = edges();
    let graph: DiGraphMap<&str, ()> = edges
        .iter()
        .flat_map(|(module, imports)| imports.iter().map(move |import| (&**module, &**import, ())))
        .collect();
    let circles = tarjan_scc(&graph)
        .into_iter()
        .filter(|modules| modules.len() > 1);
    let lines: Vec<_> = circles
        .map(|circle| {
            let imports = circle
                .iter()
                .flat_map(|module| edges[*module].iter().map(move |import| (module, import)));
            let inside = imports.filter(|(_, import)| circle.contains(&import.as_str()));
            inside
                .map(|(module, import)| format!("{module} → {import}"))
                .collect::<Vec<_>>()
                .join("\n")
        })
        .collect();
    assert!(
        lines.is_empty(),
        "modules import each other in a circle:\n{}",
        lines.join("\n\n")
    );
}

#[test]
fn modules_import_from_lower_layers_only() {
    let layer = |module: &str| {
        let part = module.split("::").next().unwrap_or_default();
        LAYERS
            .iter()
            .position(|parts| parts.contains(&part))
            .map(|layer| (layer, part.to_owned()))
    };
    let mut wrong = Vec::new();
    for (module, imports) in edges() {
        let Some((own, part)) = layer(&module) else {
            continue;
        };
        for import in imports {
            let Some((other, other_part)) = layer(&import) else {
                continue;
            };
            if other > own
                || (other == own && other_part != part && own > 0 && own < LAYERS.len() - 1)
            {
                wrong.push(format!("{module} → {import}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these imports go upwards:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_part_of_the_crate_has_a_layer() {
    let known: BTreeSet<_> = LAYERS
        .iter()
        .flat_map(|parts| parts.iter().copied())
        .collect();
    let parts: BTreeSet<_> = edges()
        .into_keys()
        .filter_map(|module| module.split("::").next().map(str::to_owned))
        .collect();
    let unknown: Vec<_> = parts
        .iter()
        .filter(|part| !part.is_empty() && !known.contains(part.as_str()))
        .collect();
    assert!(unknown.is_empty(), "add these to LAYERS: {unknown:?}");
}

/// Which module imports from which.
fn edges() -> BTreeMap<Module, BTreeSet<Module>> {
    let mut source = Source::default();
    read(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src").as_path(),
        "",
        &mut source,
    );
    let is_for_tests = |module: &Module| {
        source
            .tests
            .iter()
            .any(|tests| module == tests || module.starts_with(&format!("{tests}::")))
    };
    source.paths = source
        .paths
        .clone()
        .into_iter()
        .filter(|(module, _)| !is_for_tests(module))
        .collect();
    let modules: BTreeSet<_> = source.paths.keys().cloned().collect();
    let imports = |(module, paths): (&Module, &Vec<Vec<String>>)| {
        let imports = paths
            .iter()
            .filter_map(|path| source.defines(path, &modules))
            .filter(|import| import != module);
        (module.clone(), imports.collect())
    };
    source.paths.iter().map(imports).collect()
}

impl Source {
    /// The module that defines what a path names; `None` for what is not a module of the crate.
    fn defines(&self, path: &[String], modules: &BTreeSet<Module>) -> Option<Module> {
        let mut module = Module::new();
        for (at, name) in path.iter().enumerate() {
            let below = if module.is_empty() {
                name.clone()
            } else {
                format!("{module}::{name}")
            };
            if modules.contains(&below) {
                module = below;
                continue;
            }
            if let Some(target) = self.exports.get(&(module.clone(), name.clone())) {
                let rest = target
                    .iter()
                    .chain(&path[at + 1..])
                    .cloned()
                    .collect::<Vec<_>>();
                return self.defines(&rest, modules);
            }
            break;
        }
        (!module.is_empty()).then_some(module)
    }
}

fn read(folder: &Path, parent: &str, source: &mut Source) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a name")
            .to_owned();
        let below = if parent.is_empty() {
            stem.clone()
        } else {
            format!("{parent}::{stem}")
        };
        if path.is_dir() {
            read(&path, &below, source);
        } else {
            let module = if ["lib", "mod"].contains(&stem.as_str()) {
                parent.to_owned()
            } else {
                below
            };
            let file = syn::parse_file(&fs::read_to_string(&path).expect("a readable file"))
                .expect("valid Rust");
            let mut reader = Reader {
                module,
                source,
                children: BTreeSet::new(),
            };
            reader.children = file.items.iter().filter_map(child).collect();
            reader
                .source
                .paths
                .entry(reader.module.clone())
                .or_default();
            reader.visit_file(&file);
        }
    }
}

fn child(item: &syn::Item) -> Option<String> {
    match item {
        syn::Item::Mod(item) => Some(item.ident.to_string()),
        _ => None,
    }
}

/// Reads the paths of one file.
struct Reader<'a> {
    module: Module,
    source: &'a mut Source,
    /// Modules that the file declares.
    children: BTreeSet<String>,
}

impl Reader<'_> {
    /// The path from the root of the crate; `None` for one that leads out of it.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let own = || {
            self.module
                .split("::")
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let (base, rest) = match path.first()?.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (own(), &path[1..]),
            "super" => {
                let up = path.iter().take_while(|part| *part == "super").count();
                let mut base = own();
                base.truncate(base.len().checked_sub(up)?);
                (base, &path[up..])
            }
            first if self.children.contains(first) => (own(), path),
            _ => return None,
        };
        Some(base.into_iter().chain(rest.iter().cloned()).collect())
    }

    fn declare(&mut self, tree: &syn::UseTree, before: &[String], is_public: bool) {
        let with = |name: &syn::Ident| {
            before
                .iter()
                .cloned()
                .chain([name.to_string()])
                .collect::<Vec<_>>()
        };
        let (path, name) = match tree {
            syn::UseTree::Path(path) => {
                return self.declare(&path.tree, &with(&path.ident), is_public);
            }
            syn::UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.declare(tree, before, is_public));
            }
            syn::UseTree::Glob(_) => (before.to_vec(), None),
            syn::UseTree::Name(name) if name.ident == "self" => (before.to_vec(), None),
            syn::UseTree::Name(name) => (with(&name.ident), Some(name.ident.to_string())),
            syn::UseTree::Rename(rename) => (with(&rename.ident), Some(rename.rename.to_string())),
        };
        let Some(path) = self.absolute(&path) else {
            return;
        };
        match name {
            Some(name) if is_public => drop(
                self.source
                    .exports
                    .insert((self.module.clone(), name), path),
            ),
            _ => self
                .source
                .paths
                .entry(self.module.clone())
                .or_default()
                .push(path),
        }
    }
}

impl<'a> Visit<'a> for Reader<'_> {
    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.declare(
                &item.tree,
                &[],
                !matches!(item.vis, syn::Visibility::Inherited),
            );
        }
    }

    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        if is_for_tests(&item.attrs) {
            let below = if self.module.is_empty() {
                item.ident.to_string()
            } else {
                format!("{}::{}", self.module, item.ident)
            };
            self.source.tests.insert(below);
        } else {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let parts: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if parts.len() > 1
            && let Some(path) = self.absolute(&parts)
        {
            self.source
                .paths
                .entry(self.module.clone())
                .or_default()
                .push(path);
        }
        visit::visit_path(self, path);
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

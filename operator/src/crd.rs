//! The custom resource definitions as YAML.

use crate::Error;

/// All custom resource definitions as one YAML stream.
///
/// # Errors
/// None in practice: the definitions are fixed at build time.
pub fn yaml() -> Result<String, Error> {
    let mut stream = String::new();
    for crd in ecs_operator_crds::all() {
        let document =
            serde_saphyr::to_string(&crd).map_err(|error| Error::Crd(error.to_string()))?;
        stream.push_str("---\n");
        stream.push_str(&document);
    }
    Ok(stream)
}

//! Images of containers in ECR: which of them the operator can look up, and what a missing one is
//! called in messages. Pure.

use std::fmt;

use ecs_operator_crds::v1beta1::EcsTaskDefinition;
use ecs_operator_crds::v1beta1::task_definition::{ImageResolution, ImageStatus};

use crate::aws::ecr::{ImageKey, ImageReference};

/// Most tags that a message proposes.
const NEAREST: usize = 3;

/// An image of a container that cannot be pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageProblem {
    /// Name of the container.
    pub container: String,
    /// Which image.
    pub key: ImageKey,
    /// Why.
    pub why: Why,
    /// How to do without it.
    pub way_out: &'static str,
}

/// How to register a revision whose image is not looked up.
pub(super) const UNVERIFIED: &str = "spec.verifyImages: false registers without this check";

/// How to register a revision with a tag that names no image.
pub(super) const AS_WRITTEN: &str =
    "spec.imageResolution: AsWritten with verifyImages: false registers the tag as it is";

/// Why an image cannot be pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The repository does not exist.
    NoRepository,
    /// The repository has no such image. Tags that look alike.
    NoImage(Vec<String>),
    /// ECR has archived it.
    Archived,
}

impl fmt::Display for ImageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            container,
            key,
            why,
            way_out,
        } = self;
        let (repository, reference) = (key.repository(), &key.reference);
        write!(f, "containerDefinitions[].image: container {container}: ")?;
        match why {
            Why::NoRepository => write!(
                f,
                "ECR repository {repository} does not exist in account {}: create it and push the image, or correct the image",
                key.registry()
            )?,
            Why::NoImage(nearest) => {
                write!(f, "ECR repository {repository} has no {reference}")?;
                if !nearest.is_empty() {
                    write!(f, " (it has {})", nearest.join(", "))?;
                }
                write!(f, ": push the image, or correct it")?;
            }
            Why::Archived => write!(
                f,
                "{reference} of ECR repository {repository} is archived, or is being restored: restore it in ECR, or use another image"
            )?,
        }
        write!(f, "; {way_out}")
    }
}

/// The images of the containers that are in ECR in this Region, with the names of the containers.
pub(super) fn images_in_ecr<'a>(
    object: &'a EcsTaskDefinition,
    region: &'a str,
) -> impl Iterator<Item = (&'a str, ImageKey)> {
    let containers = object.spec.container_definitions.iter();
    containers.filter_map(move |container| {
        let key = parse(&container.image, region)?;
        Some((container.name.as_str(), key))
    })
}

/// The image with a digest instead of its tag, as ECS takes it: `registry/repository@digest`.
/// Source: `image` of ContainerDefinition, ECS API reference.
pub(super) fn with_digest(image: &str, digest: &str) -> String {
    let name = image.split('@').next().unwrap_or(image);
    let name = match name.rsplit_once(':') {
        // A colon before the last slash is that of a port.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    format!("{name}@{digest}")
}

/// Whether tags of images are resolved to digests.
pub(super) fn resolves(object: &EcsTaskDefinition) -> bool {
    object.spec.image_resolution == Some(ImageResolution::Digest)
}

/// The images of the containers that have a tag, without digests. `None` unless tags are resolved.
pub(super) fn unresolved(object: &EcsTaskDefinition) -> Option<Vec<ImageStatus>> {
    let containers = object.spec.container_definitions.iter();
    let tagged = containers.filter(|container| !container.image.contains('@'));
    let images = tagged.map(|container| ImageStatus {
        container: container.name.clone(),
        image: container.image.clone(),
        ..ImageStatus::default()
    });
    resolves(object).then(|| images.collect())
}

/// What the status knows of the image of a container, if that is still this image.
pub(super) fn known<'a>(
    object: &'a EcsTaskDefinition,
    image: &ImageStatus,
) -> Option<&'a ImageStatus> {
    let mut known = object
        .status
        .iter()
        .flat_map(|status| &status.images)
        .flatten();
    known.find(|known| {
        (&known.container, &known.image) == (&image.container, &image.image)
            && known.digest.is_some()
    })
}

/// The digests, for the note of a registration; empty without any. It depends on nothing that the
/// status changes.
pub(super) fn digests(images: &[ImageStatus]) -> String {
    let digest =
        |image: &ImageStatus| Some(format!("{} is {}", image.image, image.digest.as_ref()?));
    let digests: Vec<_> = images.iter().filter_map(digest).collect();
    if digests.is_empty() {
        String::new()
    } else {
        format!(" ({})", digests.join(", "))
    }
}

/// Reads `ACCOUNT.dkr.ecr.REGION.SUFFIX/REPOSITORY[:TAG][@DIGEST]`, or the same with `dkr-ecr` and
/// another suffix; `None` for other registries and Regions.
pub(super) fn parse(image: &str, region: &str) -> Option<ImageKey> {
    let (host, rest) = image.split_once('/')?;
    let mut parts = host.split('.');
    let registry = parts.next()?;
    let is_ecr = match parts.next()? {
        "dkr" => parts.next() == Some("ecr"),
        kind => kind == "dkr-ecr",
    };
    let is_account = registry.len() == 12 && registry.chars().all(|digit| digit.is_ascii_digit());
    if !is_ecr || !is_account || parts.next() != Some(region) {
        return None;
    }
    let (name, reference) = if let Some((name, digest)) = rest.split_once('@') {
        // A digest says more than the tag before it.
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        (name, ImageReference::Digest(digest.to_owned()))
    } else {
        let (name, tag) = rest.split_once(':').unwrap_or((rest, "latest"));
        (name, ImageReference::Tag(tag.to_owned()))
    };
    Some(ImageKey {
        place: format!("{registry}/{name}"),
        reference,
    })
}

/// The tags that look most like this one, the nearest first.
pub(super) fn nearest(tag: &str, tags: &[String]) -> Vec<String> {
    let mut tags: Vec<_> = tags
        .iter()
        .map(|other| (strsim::damerau_levenshtein(tag, other), other))
        .collect();
    tags.sort();
    tags.into_iter()
        .take(NEAREST)
        .map(|(_, tag)| tag.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_images_of_ecr_in_the_same_region() {
        let host = "111122223333.dkr.ecr.eu-central-1.amazonaws.com";
        let read = |image: &str| {
            let key = parse(image, "eu-central-1")?;
            Some(format!("{} {}", key.place, key.reference))
        };
        let rows = [
            (format!("{host}/shop/web:1.2"), Some("shop/web tag 1.2")),
            (format!("{host}/web"), Some("web tag latest")),
            (
                format!("{host}/web:1@sha256:ab"),
                Some("web digest sha256:ab"),
            ),
            (
                "111122223333.dkr-ecr.eu-central-1.on.aws/web:1".to_owned(),
                Some("web tag 1"),
            ),
            ("public.ecr.aws/nginx/nginx:1".to_owned(), None),
            ("nginx".to_owned(), None),
            (
                "111122223333.dkr.ecr.us-east-1.amazonaws.com/web:1".to_owned(),
                None,
            ),
        ];
        for (image, expected) in rows {
            let expected = expected.map(|rest| format!("111122223333/{rest}"));
            assert_eq!(read(&image), expected, "{image}");
        }
    }

    #[test]
    fn replaces_the_tag_by_the_digest() {
        let rows = [
            ("host/web:1", "host/web@sha256:ab"),
            ("host/web", "host/web@sha256:ab"),
            ("host:5000/web", "host:5000/web@sha256:ab"),
            ("host:5000/web:1", "host:5000/web@sha256:ab"),
        ];
        for (image, expected) in rows {
            assert_eq!(with_digest(image, "sha256:ab"), expected);
        }
    }

    #[test]
    fn proposes_the_tags_that_look_alike() {
        let tags = ["2.0", "latest", "1.21", "1.2.1"].map(str::to_owned);
        assert_eq!(nearest("1.2", &tags), ["1.21", "1.2.1", "2.0"]);
        assert_eq!(nearest("1.2", &[]), [""; 0]);
    }
}

//! Which clusters to read, and what a kubeconfig offers.

use std::path::PathBuf;
use std::time::Duration;

use kube::config::Kubeconfig as File;

use crate::domain::{ClusterId, Text};
use crate::source::SourceError;

/// One cluster to read.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// What the console calls it.
    pub id: ClusterId,
    /// The kubeconfig context; the current one if `None`.
    pub context: Option<String>,
    /// Where the kubeconfig is.
    pub kubeconfig: Kubeconfig,
    /// Read this namespace only; all of them if `None`.
    pub namespace: Option<String>,
    /// Marked as production by configuration.
    pub production: bool,
    /// Nothing may be changed there.
    pub read_only: bool,
    /// How often usage is sampled.
    pub metrics_interval: Duration,
    /// How long a watch may be silent on a server that sends bookmarks, as all do,
    /// once a minute; then it is asked for again, and stale until it answers.
    pub silence: Duration,
}

/// A missed bookmark, and half a minute.
pub const SILENCE: Duration = Duration::from_secs(90);

/// Where a kubeconfig is.
#[derive(Clone)]
pub enum Kubeconfig {
    /// `KUBECONFIG`, else `~/.kube/config`, else the service account of the pod we are in.
    Default,
    /// This file.
    File(PathBuf),
    /// This YAML.
    Inline(String),
}

impl std::fmt::Debug for Kubeconfig {
    /// Without the contents, which hold credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("Default"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Inline(_) => f.write_str("Inline(..)"),
        }
    }
}

/// One context of a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextInfo {
    /// Its name.
    pub name: String,
    /// The cluster entry it names.
    pub cluster: String,
    /// Its default namespace.
    pub namespace: Option<String>,
    /// True for the current context.
    pub current: bool,
}

/// The contexts a kubeconfig offers, in its order. Empty if there is no
/// kubeconfig at all.
///
/// # Errors
/// [`SourceError::Config`] if it is there and cannot be read.
pub fn contexts(kubeconfig: &Kubeconfig) -> Result<Vec<ContextInfo>, SourceError> {
    let Some(file) = load(kubeconfig)? else { return Ok(Vec::new()) };
    let current = file.current_context.unwrap_or_default();
    let contexts = file.contexts.into_iter().map(|named| {
        let context = named.context.unwrap_or_default();
        ContextInfo {
            current: named.name == current,
            name: named.name,
            cluster: context.cluster,
            namespace: context.namespace,
        }
    });
    Ok(contexts.collect())
}

/// True inside a pod that has a service account.
#[must_use]
pub fn in_cluster() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
        && std::path::Path::new("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()
}

/// The kubeconfig, or `None` if there is none where one may be.
pub(super) fn load(kubeconfig: &Kubeconfig) -> Result<Option<File>, SourceError> {
    match kubeconfig {
        Kubeconfig::Inline(yaml) => File::from_yaml(yaml).map(Some).map_err(|e| config_error(&e, "")),
        Kubeconfig::File(path) => {
            File::read_from(path).map(Some).map_err(|e| config_error(&e, &path.display().to_string()))
        }
        Kubeconfig::Default => {
            let mut merged: Option<File> = None;
            for path in default_paths() {
                // As kubectl does: a file of the list that is not there is passed over.
                if !path.exists() {
                    continue;
                }
                let error = |e| config_error(&e, &path.display().to_string());
                let next = File::read_from(&path).map_err(error)?;
                merged = Some(match merged {
                    None => next,
                    Some(first) => first.merge(next).map_err(error)?,
                });
            }
            Ok(merged)
        }
    }
}

fn default_paths() -> Vec<PathBuf> {
    let listed: Vec<PathBuf> = std::env::var_os("KUBECONFIG")
        .map(|list| std::env::split_paths(&list).filter(|p| !p.as_os_str().is_empty()).collect())
        .unwrap_or_default();
    if listed.is_empty() {
        std::env::home_dir().map(|home| home.join(".kube").join("config")).into_iter().collect()
    } else {
        listed
    }
}

/// The files a kubeconfig is made of, for messages; empty where it has none.
pub(super) fn files(kubeconfig: &Kubeconfig) -> String {
    let paths = match kubeconfig {
        Kubeconfig::Inline(_) => Vec::new(),
        Kubeconfig::File(path) => vec![path.clone()],
        Kubeconfig::Default => default_paths(),
    };
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// A context that names a user the file does not have would be read as nobody in
/// particular: whoever has a typing mistake there must hear of it.
pub(super) fn check_user(file: &File, context: Option<&str>, files: &str) -> Result<(), SourceError> {
    let Some(name) = context.or(file.current_context.as_deref()) else { return Ok(()) };
    let named = file.contexts.iter().find(|c| c.name == name).and_then(|c| c.context.as_ref());
    let Some(user) = named.and_then(|c| c.user.as_deref()).filter(|u| !u.is_empty()) else { return Ok(()) };
    if file.auth_infos.iter().any(|u| u.name == user) {
        return Ok(());
    }
    let place = if files.is_empty() { "it".to_owned() } else { files.to_owned() };
    let what =
        format!("context \"{name}\" names user \"{user}\", which is not in {place}; correct the name or add the user");
    Err(SourceError::Config { what: Text::new(&what) })
}

/// What is wrong with a kubeconfig. `files` says where it is read from; empty where it has no file.
pub(super) fn config_error(error: &kube::config::KubeconfigError, files: &str) -> SourceError {
    use kube::config::KubeconfigError as E;
    let what = match error {
        E::CurrentContextNotSet => {
            "no current context; run `kubectl config use-context NAME` or start with --context NAME".to_owned()
        }
        E::LoadContext(name) => format!("there is no context \"{name}\"; `kubectl config get-contexts` lists them"),
        E::LoadClusterOfContext(name) if files.is_empty() => {
            format!("the context names cluster \"{name}\", which is not in the file")
        }
        E::LoadClusterOfContext(name) => format!("the context names cluster \"{name}\", which is not in {files}"),
        E::ReadConfig(e, path) => format!("cannot read {}: {e}; check the path and its permissions", path.display()),
        E::MissingClusterUrl => "the cluster has no `server`; add its https URL".to_owned(),
        // A parser's message quotes the file, which holds credentials: only where, never what.
        E::Parse(e) => match e.location() {
            Some(at) => format!("not valid YAML at line {}, column {}; correct it there", at.line(), at.column()),
            None => "not a valid kubeconfig; `kubectl config view` may say where".to_owned(),
        },
        other => format!("{other}; correct the entry"),
    };
    let what = if files.is_empty() || what.contains(files) { what } else { format!("{files}: {what}") };
    SourceError::Config { what: Text::new(&what) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "apiVersion: v1\nkind: Config\ncurrent-context: b\ncontexts:\n\
        - name: a\n  context: {cluster: one, user: u, namespace: web}\n- name: b\n  context: {cluster: two, user: u}\n";

    #[test]
    fn contexts_in_order_with_the_current_one_marked() {
        let found = contexts(&Kubeconfig::Inline(TWO.to_owned())).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].name.as_str(), found[0].namespace.as_deref(), found[0].current),
            ("a", Some("web"), false)
        );
        assert_eq!((found[1].cluster.as_str(), found[1].current), ("two", true));
    }

    #[test]
    fn a_broken_file_is_not_quoted() {
        let error = contexts(&Kubeconfig::Inline("users: [{token: hunter2".to_owned())).unwrap_err().to_string();
        assert!(error.starts_with("kubeconfig: ") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn of_several_files_the_broken_one_is_named_and_a_user_that_is_missing_too() {
        let dir = tempfile::tempdir().unwrap();
        let broken = dir.path().join("broken");
        std::fs::write(&broken, "users: [{token: hunter2").unwrap();
        let error = contexts(&Kubeconfig::File(broken.clone())).unwrap_err().to_string();
        assert!(error.contains(&broken.display().to_string()) && error.contains("line 1"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let file = File::from_yaml(TWO).unwrap();
        let error = check_user(&file, Some("a"), "/home/me/config").unwrap_err().to_string();
        assert!(error.contains("user \"u\"") && error.contains("/home/me/config"), "{error}");
        assert!(check_user(&file, None, "").is_err(), "the current context");
        let with = File::from_yaml(&format!("{TWO}users: [{{name: u, user: {{}}}}]\n")).unwrap();
        assert_eq!(check_user(&with, Some("a"), ""), Ok(()));
    }

    #[test]
    fn a_named_file_that_is_not_there_is_an_error() {
        let error = contexts(&Kubeconfig::File("/nonexistent/kubeconfig".into())).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/kubeconfig"));
    }
}

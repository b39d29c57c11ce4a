//! What a drain makes of each pod. Pure.

use serde_json::Value;

use super::super::super::intent::Options;
use super::super::object::{controller, items, text};

/// What becomes of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Class {
    /// It is evicted.
    Evict,
    /// It has ended; what is left of it is evicted, which no budget holds up.
    Finished,
    /// It ends already, and is waited for.
    Terminating,
    /// A `DaemonSet` would put it back at once: it stays.
    Daemon,
    /// The kubelet's own, from a file: the API cannot end it.
    Mirror,
    /// The drain is refused because of it, before anything is touched.
    Refused,
}

/// A pod's class, and what to say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Judged {
    pub(in super::super) class: Class,
    pub(in super::super) note: String,
}

/// Whether it is the kubelet's own.
pub(in super::super) fn is_mirror(pod: &Value) -> bool {
    pod.pointer("/metadata/annotations/kubernetes.io~1config.mirror").is_some()
}

/// What a drain makes of `pod`. `has_set`: the `DaemonSet` that owns it, if one does, is there.
pub(in super::super) fn judge(pod: &Value, options: &Options, has_set: bool) -> Judged {
    let of = |class, note: &str| Judged { class, note: note.to_owned() };
    let phase = text(pod, "/status/phase");
    let finished = matches!(phase, "Succeeded" | "Failed");
    let owner = controller(pod);
    let daemon = owner.is_some_and(|(kind, ..)| kind == "DaemonSet") && !finished;
    if daemon && has_set {
        let name = owner.map(|(_, name, _)| name).unwrap_or_default();
        if options.ignore_daemonsets {
            return of(Class::Daemon, &format!("DaemonSet {name} would start it again at once"));
        }
        return of(Class::Refused, &format!("DaemonSet {name} owns it; ignore DaemonSets to leave it where it is"));
    }
    if is_mirror(pod) {
        return of(Class::Mirror, "the kubelet's own, from a file on the node");
    }
    if finished {
        return of(Class::Finished, &format!("it has ended ({phase})"));
    }
    if !text(pod, "/metadata/deletionTimestamp").is_empty() {
        return of(Class::Terminating, "it ends already, and is waited for");
    }
    let mut costs = Vec::new();
    if daemon {
        let name = owner.map(|(_, name, _)| name).unwrap_or_default();
        if !options.force {
            return of(
                Class::Refused,
                &format!("its DaemonSet {name} is gone, and nothing will replace it; force takes it"),
            );
        }
        costs.push("its DaemonSet is gone: nothing will replace it");
    }
    if has_empty_dir(pod) {
        if !options.delete_emptydir_data {
            return of(
                Class::Refused,
                "it has emptyDir data, which is lost with it; allow that, or move the data first",
            );
        }
        costs.push("its emptyDir data is lost");
    }
    if owner.is_none() {
        if !options.force {
            return of(Class::Refused, "it has no owner, and nothing will replace it; force takes it all the same");
        }
        costs.push("it has no owner: nothing will replace it");
    }
    of(Class::Evict, &costs.join("; "))
}

/// Data that lives on the node, and only as long as the pod.
fn has_empty_dir(pod: &Value) -> bool {
    items(pod, "/spec/volumes").iter().any(|v| v.get("emptyDir").is_some_and(|e| !e.is_null()))
}

/// Whether the eviction API asks no budget about it.
pub(super) fn is_exempt(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed" | "Pending")
        || !text(pod, "/metadata/deletionTimestamp").is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(phase: &str, owner: &str, more: &[&str]) -> Value {
        let mut pod = json!({"metadata": {"name": "p", "namespace": "shop"}, "spec": {"volumes": []},
            "status": {"phase": phase}});
        if !owner.is_empty() {
            pod["metadata"]["ownerReferences"] = json!([{"kind": owner, "name": "o", "controller": true}]);
        }
        for what in more {
            match *what {
                "emptyDir" => pod["spec"]["volumes"] = json!([{"name": "d", "emptyDir": {}}]),
                "mirror" => pod["metadata"]["annotations"]["kubernetes.io/config.mirror"] = "x".into(),
                "going" => pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into(),
                "follower" => pod["metadata"]["ownerReferences"] = json!([{"kind": "Node", "name": "n"}]),
                _ => {}
            }
        }
        pod
    }

    /// Options by their letters: f(orce), e(mptyDir), d(aemonsets are not ignored), and s: the set is gone.
    fn judged(pod: &Value, letters: &str) -> Class {
        let options = Options {
            force: letters.contains('f'),
            delete_emptydir_data: letters.contains('e'),
            ignore_daemonsets: !letters.contains('d'),
            ..Options::default()
        };
        judge(pod, &options, !letters.contains('s')).class
    }

    #[test]
    fn every_pod_has_its_class() {
        use Class as C;
        let table: &[(&str, &str, &[&str], &str, Class)] = &[
            ("Running", "ReplicaSet", &[], "", C::Evict),
            ("Pending", "ReplicaSet", &[], "", C::Evict),
            ("Running", "Job", &[], "", C::Evict),
            ("Running", "DaemonSet", &[], "", C::Daemon),
            ("Running", "DaemonSet", &[], "d", C::Refused),
            ("Running", "DaemonSet", &["emptyDir"], "", C::Daemon),
            ("Running", "DaemonSet", &["going"], "", C::Daemon),
            ("Succeeded", "DaemonSet", &[], "d", C::Finished),
            ("Running", "DaemonSet", &[], "s", C::Refused),
            ("Running", "DaemonSet", &[], "sf", C::Evict),
            ("Running", "DaemonSet", &["emptyDir"], "sf", C::Refused),
            ("Running", "Node", &["mirror"], "", C::Mirror),
            ("Running", "", &["mirror", "emptyDir"], "", C::Mirror),
            ("Running", "", &[], "", C::Refused),
            ("Running", "", &["follower"], "", C::Refused),
            ("Running", "", &[], "f", C::Evict),
            ("Succeeded", "", &[], "", C::Finished),
            ("Failed", "", &["emptyDir"], "", C::Finished),
            ("Running", "ReplicaSet", &["emptyDir"], "", C::Refused),
            ("Running", "ReplicaSet", &["emptyDir"], "e", C::Evict),
            ("Running", "", &["emptyDir"], "e", C::Refused),
            ("Running", "", &["emptyDir"], "ef", C::Evict),
            ("Running", "ReplicaSet", &["going"], "", C::Terminating),
            ("Running", "", &["going", "emptyDir"], "", C::Terminating),
        ];
        for (phase, owner, more, letters, wanted) in table {
            assert_eq!(judged(&pod(phase, owner, more), letters), *wanted, "{phase} {owner} {more:?} {letters}");
        }
    }

    #[test]
    fn a_volume_that_is_no_empty_dir_is_none() {
        let mut pod = pod("Running", "ReplicaSet", &[]);
        pod["spec"]["volumes"] = json!([{"name": "c", "configMap": {"name": "x"}}, {"name": "d", "emptyDir": null}]);
        assert_eq!(judged(&pod, ""), Class::Evict);
    }
}

//! The IAM policies that the console needs: to read, and to act.

use serde_json::{Value, json};

/// What reading asks for: statement, actions.
const READ: &[(&str, &[&str])] = &[
    (
        "Ecs",
        &[
            "ecs:ListClusters",
            "ecs:DescribeClusters",
            "ecs:ListServices",
            "ecs:DescribeServices",
            "ecs:ListTasks",
            "ecs:DescribeTasks",
            "ecs:ListContainerInstances",
            "ecs:DescribeContainerInstances",
            "ecs:ListTaskDefinitions",
            "ecs:DescribeTaskDefinition",
            "ecs:DescribeCapacityProviders",
            "ecs:GetTaskProtection",
            "ecs:ListServiceDeployments",
            "ecs:DescribeServiceDeployments",
        ],
    ),
    ("Metrics", &["cloudwatch:GetMetricData", "cloudwatch:DescribeAlarms"]),
    ("Logs", &["logs:FilterLogEvents", "logs:GetLogEvents", "logs:DescribeLogGroups"]),
    (
        "AutoScaling",
        &[
            "application-autoscaling:DescribeScalableTargets",
            "application-autoscaling:DescribeScalingPolicies",
            "application-autoscaling:DescribeScalingActivities",
        ],
    ),
    (
        "Surroundings",
        &[
            "ec2:DescribeSubnets",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
            "servicequotas:GetServiceQuota",
        ],
    ),
    ("Notices", &["ec2:DescribeSpotInstanceRequests", "ec2:DescribeInstances", "ec2:DescribeInstanceStatus"]),
    (
        "Queue",
        &["sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ListQueueTags", "sqs:ReceiveMessage", "sqs:DeleteMessage"],
    ),
];

/// What acting asks for on top.
const ACT: &[(&str, &[&str])] = &[
    (
        "Act",
        &[
            "ecs:UpdateService",
            "ecs:StopTask",
            "ecs:UpdateContainerInstancesState",
            "ecs:ExecuteCommand",
            "ecs:StopServiceDeployment",
            "ecs:RegisterTaskDefinition",
            "ecs:TagResource",
            "application-autoscaling:RegisterScalableTarget",
            "cloudwatch:DisableAlarmActions",
            "cloudwatch:EnableAlarmActions",
        ],
    ),
    ("Forward", &["ssm:StartSession"]),
    ("Sessions", &["ssm:ResumeSession", "ssm:TerminateSession"]),
    ("Roles", &["iam:PassRole"]),
];

/// Which policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Policy {
    /// For looking.
    Read,
    /// For looking and for acting.
    Act,
}

/// The policy as JSON, ready for IAM.
#[must_use]
pub fn policy(which: Policy) -> Value {
    let statements = READ.iter().chain(if which == Policy::Act { ACT } else { &[] });
    let statements: Vec<Value> = statements
        .map(|(sid, actions)| {
            let resource = match *sid {
                // What is received from a queue others do not get: not every queue is the console's.
                "Queue" => json!("arn:*:sqs:*:*:quarterdeck*"),
                // Into tasks, and for a port: not into machines, and no shell.
                "Forward" => json!(["arn:*:ecs:*:*:task/*", "arn:*:ssm:*::document/AWS-StartPortForwardingSession"]),
                "Sessions" => json!("arn:*:ssm:*:*:session/*"),
                _ => json!("*"),
            };
            let mut statement = json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource});
            if *sid == "Roles" {
                // A task definition's roles, for ECS to give to its tasks, and to nobody else.
                statement["Condition"] = json!({"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}});
            }
            statement
        })
        .collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn literals(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                literals(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap();
                for part in code.split('"').skip(1).step_by(2) {
                    let action = part.split_once(':').is_some_and(|(service, name)| {
                        !service.is_empty()
                            && service.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c == '2')
                            && name.starts_with(|c: char| c.is_ascii_uppercase())
                            && name.chars().all(char::is_alphanumeric)
                    });
                    if action {
                        found.insert(part.to_owned());
                    }
                }
            }
        }
    }

    #[test]
    fn the_policy_has_what_is_asked_and_nothing_else() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/source");
        let mut asked = BTreeSet::new();
        literals(&source.join("ecs"), &mut asked);
        literals(&source.join("aws"), &mut asked);
        literals(&source.join("spot"), &mut asked);
        // One permission is for one and for a batch.
        if asked.remove("sqs:DeleteMessageBatch") {
            asked.insert("sqs:DeleteMessage".to_owned());
        }
        // The query client is told its service and its action apart.
        asked.insert("ec2:DescribeSubnets".to_owned());
        asked.insert("elasticloadbalancing:DescribeTargetGroups".to_owned());
        asked.insert("elasticloadbalancing:DescribeTargetHealth".to_owned());
        let of = |list: &[(&str, &[&str])]| -> BTreeSet<String> {
            list.iter().flat_map(|(_, actions)| actions.iter().map(ToString::to_string)).collect()
        };
        let is_act = |action: &String| {
            let (service, name) = action.split_once(':').unwrap_or_default();
            service != "sqs" && !crate::source::aws::readonly::only_asks(name)
        };
        let (acts, asked): (BTreeSet<String>, BTreeSet<String>) = asked.into_iter().partition(is_act);
        assert_eq!(asked, of(READ));
        assert!(acts.is_subset(&of(ACT)), "{acts:?}");
        // What AWS wants for what is asked: a definition's tags and roles, and what the session's plugin asks itself.
        let besides = ["ecs:TagResource", "iam:PassRole", "ssm:ResumeSession"].map(ToOwned::to_owned);
        assert_eq!(of(ACT).difference(&acts).cloned().collect::<BTreeSet<_>>(), BTreeSet::from(besides));
        assert!(policy(Policy::Act).to_string().contains("ecs:UpdateService"));
        assert!(!policy(Policy::Read).to_string().contains("Update"));
    }
}

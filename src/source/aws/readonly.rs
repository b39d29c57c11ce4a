//! Reading must not be able to change anything: the clients that read refuse whatever else is asked of them.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Operations that begin so only ask.
const ASKS: [&str; 5] = ["Describe", "List", "Get", "Filter", "BatchGet"];

/// Whether an operation changes nothing.
#[must_use]
pub fn only_asks(operation: &str) -> bool {
    ASKS.iter().any(|verb| operation.starts_with(verb))
}

/// Refuses, before anything is sent, what does not only ask.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOnly;

impl Intercept for ReadOnly {
    fn name(&self) -> &'static str {
        "ReadOnly"
    }

    fn read_before_serialization(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // What does not say what it is is not trusted.
        let operation = config.load::<Metadata>().map(|m| m.name().to_owned()).unwrap_or_default();
        if only_asks(&operation) {
            return Ok(());
        }
        Err(format!("{operation} would change something, and this client only reads").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_does_not_only_ask() {
        for reads in ["DescribeServices", "ListTasks", "GetMetricData", "FilterLogEvents", "GetTaskProtection"] {
            assert!(only_asks(reads), "{reads}");
        }
        for writes in
            ["UpdateService", "StopTask", "ExecuteCommand", "RegisterTaskDefinition", "DisableAlarmActions", ""]
        {
            assert!(!only_asks(writes), "{writes}");
        }
    }
}

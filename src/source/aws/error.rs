//! The SDK's errors in the words a person on call needs.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::domain::{Text, Timestamp};
use crate::source::SourceError;

/// What was asked of whom, for messages.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The operation: `ecs:ListTasks`.
    pub what: &'a str,
    /// Host, or the endpoint that was configured.
    pub endpoint: &'a str,
    /// Profile, `default` without one.
    pub profile: &'a str,
    /// When it was asked.
    pub now: Timestamp,
    /// How long an answer may take.
    pub patience: Duration,
}

/// Says what an error means and what to do about it.
pub fn explain<E>(error: SdkError<E, HttpResponse>, asked: Asked<'_>) -> SourceError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if let Some(credentials) = find::<CredentialsError>(&error) {
        return SourceError::Account { what: Text::new(&no_credentials(credentials, asked.profile)) };
    }
    match error {
        SdkError::TimeoutError(_) => SourceError::TimedOut {
            what: Text::new(&format!("{} at {}", asked.what, asked.endpoint)),
            after: asked.patience,
        },
        SdkError::DispatchFailure(failure) if failure.is_timeout() => SourceError::TimedOut {
            what: Text::new(&format!("{} at {}", asked.what, asked.endpoint)),
            after: asked.patience,
        },
        SdkError::DispatchFailure(failure) => {
            let reason = failure.as_connector_error().map_or_else(|| "no connection".to_owned(), |e| innermost(e));
            let (endpoint, reason) = (Text::new(asked.endpoint), Text::new(&reason));
            if reason.to_lowercase().contains("certificate") {
                SourceError::Tls { endpoint, reason }
            } else {
                SourceError::Unreachable { endpoint, reason }
            }
        }
        SdkError::ResponseError(response) => {
            let code = response.raw().status().as_u16();
            if let Some(to) = response.raw().headers().get("location").filter(|_| (300..400).contains(&code)) {
                return SourceError::Server { code, message: Text::new(&redirected(asked.what, to)) };
            }
            if code >= 400 {
                return SourceError::Server {
                    code,
                    message: Text::new(&format!("to {} without a reason", asked.what)),
                };
            }
            garbage(asked)
        }
        SdkError::ServiceError(service) => {
            let skew = service.raw().headers().get("date").and_then(|d| skew(d, asked.now));
            let status = service.raw().status().as_u16();
            if let Some(to) = service.raw().headers().get("location").filter(|_| (300..400).contains(&status)) {
                return SourceError::Server { code: status, message: Text::new(&redirected(asked.what, to)) };
            }
            let retry_after =
                service.raw().headers().get("retry-after").and_then(|s| s.parse().ok()).map(Duration::from_secs);
            let refused = service.err();
            of_code(
                refused.code().unwrap_or_default(),
                refused.message().unwrap_or_default(),
                Met { status, retry_after, skew },
                asked,
            )
        }
        other => SourceError::Account { what: Text::new(&format!("{}: {}", asked.what, innermost(&other))) },
    }
}

/// What the answer around an error said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Met {
    /// HTTP status.
    pub status: u16,
    /// How long to wait, where it says so.
    pub retry_after: Option<Duration>,
    /// Seconds that this machine's clock is ahead of AWS's; negative if behind.
    pub skew: Option<i64>,
}

/// What an error code of any AWS service means.
#[must_use]
pub fn of_code(code: &str, message: &str, met: Met, asked: Asked<'_>) -> SourceError {
    // Some protocols carry a namespace before the code and a URL after it.
    let code = code.rsplit('#').next().unwrap_or(code).split(':').next().unwrap_or(code);
    let renew = renewal(asked.profile);
    match code {
        "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "SlowDown"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "PriorRequestNotComplete" => SourceError::Throttled { retry_after: met.retry_after },
        "AccessDeniedException"
        | "AccessDenied"
        | "UnauthorizedOperation"
        | "AuthorizationError"
        | "KmsAccessDenied"
        | "KMS.AccessDeniedException"
        | "UnauthorizedException" => {
            SourceError::Forbidden { what: Text::new(if message.is_empty() { asked.what } else { message }) }
        }
        "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" if met.skew.is_none_or(|s| s.abs() < 240) => {
            let what = format!("no credentials: those of {} have expired; {renew}", asked.profile);
            SourceError::Account { what: Text::new(&what) }
        }
        _ if matches!(
            code,
            "InvalidSignatureException"
                | "RequestTimeTooSkewed"
                | "RequestExpired"
                | "SignatureDoesNotMatch"
                | "RequestInTheFuture"
        ) && (met.skew.is_some_and(|s| s.abs() >= 240)
            || message.starts_with("Signature expired")
            || message.starts_with("Signature not yet current")) =>
        {
            SourceError::Account { what: Text::new(&clock(met.skew)) }
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "AuthFailure"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "OptInRequired" => SourceError::Account {
            what: Text::new(&format!("no credentials: AWS does not know those of {} ({code}); {renew}", asked.profile)),
        },
        "ClusterNotFoundException" => SourceError::Account {
            what: Text::new(&format!(
                "no such ECS cluster at {}; check its name and region (`aws ecs list-clusters`), and that {} is its account",
                asked.endpoint, asked.profile
            )),
        },
        "ResourceNotFoundException"
        | "ServiceNotFoundException"
        | "NoSuchResourceException"
        | "QueueDoesNotExist"
        | "AWS.SimpleQueueService.NonExistentQueue"
        | "TargetGroupNotFound"
        | "TargetGroupNotFoundException" => {
            SourceError::NotFound { what: Text::new(if message.is_empty() { asked.what } else { message }) }
        }
        "" if met.status == 429 => SourceError::Throttled { retry_after: met.retry_after },
        "" if met.status == 403 => SourceError::Forbidden { what: Text::new(asked.what) },
        "" if (200..300).contains(&met.status) => garbage(asked),
        _ => {
            let said = if message.is_empty() { code.to_owned() } else { format!("{code}: {message}") };
            SourceError::Server { code: met.status, message: Text::new(&format!("{} to {}", said, asked.what)) }
        }
    }
}

/// An answer that makes no sense.
#[must_use]
pub fn garbage(asked: Asked<'_>) -> SourceError {
    SourceError::Garbage { what: Text::new(&format!("the answer to {} from {}", asked.what, asked.endpoint)) }
}

/// A proxy's login page, as a rule: where it is says whose.
fn redirected(what: &str, to: &str) -> String {
    let to = to.split(['?', '#']).next().unwrap_or(to);
    format!("{what} was sent on to {to}, so something other than AWS answers")
}

/// Seconds that `now` is ahead of the `Date` of an answer.
pub fn skew(date: &str, now: Timestamp) -> Option<i64> {
    let theirs = chrono::DateTime::parse_from_rfc2822(date).ok()?;
    Some((now - theirs.to_utc()).num_seconds())
}

fn clock(skew: Option<i64>) -> String {
    let by = skew.map_or_else(String::new, |s| {
        let side = if s > 0 { "ahead of" } else { "behind" };
        format!(" {} min {side} AWS's", (s.abs() + 30) / 60)
    });
    let by = if by.is_empty() { " not AWS's".to_owned() } else { by };
    format!("the clock of this machine is{by}, so signatures are refused; set it (`timedatectl set-ntp true`)")
}

fn renewal(profile: &str) -> String {
    if profile == "the environment" {
        "export fresh AWS_* variables and start again, or use a profile".to_owned()
    } else {
        format!(
            "renew them: aws sso login --profile {profile} (or as your team does it); they are read again before each retry"
        )
    }
}

/// Why there are no credentials, and what to do about it.
pub(super) fn no_credentials(error: &CredentialsError, profile: &str) -> String {
    let why = innermost(error);
    match error {
        CredentialsError::CredentialsNotLoaded(_) => format!(
            "no AWS credentials were found for {profile}: set AWS_PROFILE or AWS_ACCESS_KEY_ID, or run `aws configure sso`"
        ),
        CredentialsError::ProviderTimedOut(_) => {
            format!("the credentials of {profile} did not come in time ({why}); {}", renewal(profile))
        }
        _ => format!("the credentials of {profile} cannot be had ({why}); {}", renewal(profile)),
    }
}

/// The error of a type somewhere in the chain.
fn find<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What the deepest cause says: the layers above only say that there is one.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = error.to_string();
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone, Utc};

    fn asked() -> Asked<'static> {
        Asked {
            what: "ecs:ListTasks",
            endpoint: "ecs.eu-west-1.amazonaws.com",
            profile: "prod",
            now: Utc.with_ymd_and_hms(2026, 11, 20, 3, 14, 0).unwrap(),
            patience: Duration::from_secs(10),
        }
    }

    fn said(code: &str, message: &str, met: Met) -> String {
        of_code(code, message, met, asked()).to_string()
    }

    #[test]
    fn codes_become_advice() {
        let expired =
            said("ExpiredTokenException", "The security token included in the request is expired", Met::default());
        assert!(
            expired.contains("those of prod have expired") && expired.contains("aws sso login --profile prod"),
            "{expired}"
        );
        let denied = said(
            "AccessDeniedException",
            "User: arn:aws:iam::1:user/x is not authorized to perform: ecs:ListTasks",
            Met::default(),
        );
        assert!(denied.contains("not authorized to perform: ecs:ListTasks"), "{denied}");
        assert!(
            said("com.amazonaws.ecs#ClusterNotFoundException", "Cluster not found.", Met::default())
                .contains("no such ECS cluster")
        );
        assert!(matches!(of_code("RequestLimitExceeded", "", Met::default(), asked()), SourceError::Throttled { .. }));
        assert!(
            said("InternalError", "oops", Met { status: 500, ..Met::default() })
                .contains("answered 500: InternalError: oops to ecs:ListTasks")
        );
    }

    #[test]
    fn advice_is_given_once_and_is_the_right_one() {
        let missing = no_credentials(&CredentialsError::not_loaded("nothing"), "default");
        assert!(missing.starts_with("no AWS credentials were found for default: set AWS_PROFILE"), "{missing}");
        let codes = ["ClusterNotFoundException", "ExpiredToken", "UnrecognizedClientException"];
        for text in codes.map(|code| said(code, "", Met { status: 400, ..Met::default() })).into_iter().chain([missing])
        {
            for wrong in ["run the command by hand", "it may be gone", "does not offer it"] {
                assert!(!text.contains(wrong), "{text}");
            }
            assert!(text.matches(';').count() <= 2 && !text.contains("credentials: no "), "{text}");
        }
        assert_eq!(
            redirected("ecs:ListTasks", "https://login.example.com/start?token=s"),
            "ecs:ListTasks was sent on to https://login.example.com/start, so something other than AWS answers"
        );
    }

    #[test]
    fn a_wrong_clock_is_said_in_minutes() {
        let now = asked().now;
        let skew = skew("Fri, 20 Nov 2026 03:04:00 GMT", now);
        assert_eq!(skew, Some(600));
        let text = said(
            "InvalidSignatureException",
            "Signature expired: 20261120T030400Z is now earlier than ...",
            Met { status: 403, skew, ..Met::default() },
        );
        assert!(text.contains("10 min ahead of AWS's") && text.contains("timedatectl"), "{text}");
    }
}

//! One account and region: its clients, made when they are first wanted and anew
//! when credentials were refused.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpClient};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use chrono::TimeDelta;

use super::error::{Asked, explain};
use super::limits::{Bucket, Limits};
use super::offset::Offset;
use super::profiles::{Profiles, environment, selected};
use super::readonly::ReadOnly;
use super::spec::AccountSpec;
use crate::clock::Clock;
use crate::domain::{Text, Timestamp};
use crate::source::SourceError;

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// The clients of one account and region.
#[derive(Debug)]
pub struct Clients {
    /// What they are made from.
    pub config: SdkConfig,
    /// ECS.
    pub ecs: aws_sdk_ecs::Client,
    /// CloudWatch.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// CloudWatch Logs.
    pub logs: aws_sdk_cloudwatchlogs::Client,
    /// Application Auto Scaling.
    pub scaling: aws_sdk_applicationautoscaling::Client,
    /// The region.
    pub region: String,
}

/// Clients that may change something.
#[derive(Debug)]
pub(in crate::source) struct Writing {
    pub ecs: aws_sdk_ecs::Client,
    pub scaling: aws_sdk_applicationautoscaling::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
}

/// One account and region.
#[derive(Debug)]
pub struct Account {
    /// Whose, where.
    pub spec: AccountSpec,
    /// The profile's name, for messages.
    pub(super) who: String,
    /// How often it is asked.
    pub limits: Limits,
    clock: Clock,
    /// For what has no SDK here.
    pub(super) connector: Connector,
    clients: tokio::sync::Mutex<Option<Arc<Clients>>>,
    endpoint: Mutex<String>,
    /// How far this machine's clock is from AWS's.
    offset: Mutex<Offset>,
    /// The account's number, once a cluster in it has told.
    number: tokio::sync::watch::Sender<Option<String>>,
    name: Text,
    /// Alarms belong to the account, whichever of its clusters asks.
    pub(super) alarms: tokio::sync::Mutex<super::alarms::Kept>,
    /// False once somebody wants them anew.
    pub(super) alarms_fresh: std::sync::atomic::AtomicBool,
    /// Told when they were changed from here.
    pub(super) alarms_changed: tokio::sync::Notify,
}

impl Account {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(spec: AccountSpec, clock: Clock) -> Self {
        let who = spec.profile_name();
        let name = match &spec.region {
            Some(region) => format!("{who} {region}"),
            None => who.clone(),
        };
        let limits = Limits::new(Text::new(&name), clock.now(), spec.ceiling);
        let endpoint = Mutex::new(spec.endpoint.clone().unwrap_or_else(|| "AWS".to_owned()));
        let connector = connector(spec.keys.is_none());
        Self {
            spec,
            who,
            limits,
            clock,
            connector,
            clients: tokio::sync::Mutex::default(),
            endpoint,
            offset: Mutex::default(),
            number: tokio::sync::watch::Sender::default(),
            name: Text::new(&name),
            alarms: tokio::sync::Mutex::default(),
            alarms_fresh: std::sync::atomic::AtomicBool::new(false),
            alarms_changed: tokio::sync::Notify::new(),
        }
    }

    /// Profile and region, as the meter names it.
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// Learns the account's number from the ARN of something in it.
    pub fn learn(&self, arn: &str) {
        let number = arn.split(':').nth(4).filter(|n| !n.is_empty()).map(str::to_owned);
        if number.is_some() {
            self.number.send_if_modified(|known| std::mem::replace(known, number.clone()) != number);
        }
    }

    /// The account's number; waits until it is known.
    pub async fn number(&self) -> String {
        let mut number = self.number.subscribe();
        let known = number.wait_for(Option::is_some).await.ok().and_then(|n| n.clone());
        known.unwrap_or_default()
    }

    /// The clients, made now if there are none.
    ///
    /// # Errors
    /// [`SourceError::Account`] without a region, or if there is no such profile.
    pub async fn clients(&self) -> Result<Arc<Clients>, SourceError> {
        let mut kept = self.clients.lock().await;
        if let Some(clients) = kept.as_ref() {
            return Ok(Arc::clone(clients));
        }
        if self.spec.keys.is_none()
            && let Some(name) = self.spec.profile.clone().or_else(|| selected(&environment))
            && let Some(what) = Profiles::read(&environment).missing(&name)
        {
            return Err(SourceError::Account { what: Text::new(&what) });
        }
        let config = self.load().await;
        let Some(region) = config.region().map(ToString::to_string) else {
            let name = &self.who;
            let what = format!(
                "no AWS region for {name}: set AWS_REGION, add `region` to the profile, or write REGION/NAME for the cluster"
            );
            return Err(SourceError::Account { what: Text::new(&what) });
        };
        if self.spec.endpoint.is_none() {
            let host = config.endpoint_url().map_or_else(|| format!("AWS in {region}"), str::to_owned);
            *self.endpoint.lock().unwrap_or_else(PoisonError::into_inner) = host;
        }
        let clients = Arc::new(Clients {
            ecs: aws_sdk_ecs::Client::from_conf(
                aws_sdk_ecs::config::Builder::from(&config).interceptor(ReadOnly).build(),
            ),
            cloudwatch: aws_sdk_cloudwatch::Client::from_conf(
                aws_sdk_cloudwatch::config::Builder::from(&config).interceptor(ReadOnly).build(),
            ),
            logs: aws_sdk_cloudwatchlogs::Client::from_conf(
                aws_sdk_cloudwatchlogs::config::Builder::from(&config).interceptor(ReadOnly).build(),
            ),
            scaling: aws_sdk_applicationautoscaling::Client::from_conf(
                aws_sdk_applicationautoscaling::config::Builder::from(&config).interceptor(ReadOnly).build(),
            ),
            region,
            config,
        });
        *kept = Some(Arc::clone(&clients));
        Ok(clients)
    }

    /// Clients that may change something. Only writers ask for them, and there are none where nothing may be changed.
    ///
    /// # Errors
    /// As [`Account::clients`].
    pub(in crate::source) async fn writing(&self) -> Result<Writing, SourceError> {
        let clients = self.clients().await?;
        Ok(Writing {
            ecs: aws_sdk_ecs::Client::new(&clients.config),
            scaling: aws_sdk_applicationautoscaling::Client::new(&clients.config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&clients.config),
        })
    }

    async fn load(&self) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(PATIENCE)
            .operation_timeout(PATIENCE);
        let spec = &self.spec;
        if let Some(keys) = &spec.keys {
            // The embedded fleet: nothing of the user's own is looked at, not even a proxy.
            let credentials = Credentials::new(&keys.id, &keys.secret, None, None, "embedded fleet");
            let mut builder = SdkConfig::builder()
                .behavior_version(BehaviorVersion::latest())
                .http_client(http_client(false))
                .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
                .time_source(SharedTimeSource::new(SystemTimeSource::new()))
                .identity_cache(IdentityCache::lazy().build())
                .credentials_provider(SharedCredentialsProvider::new(credentials))
                .retry_config(RetryConfig::disabled())
                .timeout_config(timeouts.build());
            builder.set_region(spec.region.clone().map(Region::new));
            builder.set_endpoint_url(spec.endpoint.clone());
            return builder.build();
        }
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client(true))
            // The supervisor retries, in sight; a client that does so in secret upsets every count.
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build());
        if let Some(profile) = spec.profile.clone().or_else(|| selected(&environment)) {
            loader = loader.profile_name(profile);
        }
        // Who names a profile means its region, too, before the environment's.
        let region = match (&spec.region, &spec.profile) {
            (Some(region), _) => Some(Region::new(region.clone())),
            (None, Some(profile)) => ProfileFileRegionProvider::builder().profile_name(profile).build().region().await,
            (None, None) => None,
        };
        if let Some(region) = region {
            loader = loader.region(region);
        }
        if let Some(endpoint) = &spec.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let config = loader.load().await;
        match &spec.profile {
            Some(profile) => only(profile, config),
            None => config,
        }
    }

    /// Waits for the bucket's turn, asks, and takes stock of the answer. Refused
    /// credentials are read anew before the next question.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn ask<T, E>(
        &self,
        bucket: Bucket,
        what: &str,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, SourceError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.limits.turn(bucket).await;
        let outcome = request.await.map_err(|error| self.explain(error, what));
        self.judge(bucket, outcome).await
    }

    /// Takes stock of an answer.
    pub(in crate::source) async fn judge<T>(
        &self,
        bucket: Bucket,
        outcome: Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        match &outcome {
            Ok(_) => self.limits.went_well(bucket),
            Err(SourceError::Throttled { .. }) => self.limits.throttled(bucket),
            Err(SourceError::Credentials { .. } | SourceError::Account { .. }) => *self.clients.lock().await = None,
            Err(_) => {}
        }
        outcome
    }

    fn explain<E>(&self, error: SdkError<E, HttpResponse>, what: &str) -> SourceError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let endpoint = self.endpoint();
        explain(error, self.asked(what, &endpoint))
    }

    /// Where questions go, for messages.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(in crate::source) fn asked<'a>(&'a self, what: &'a str, endpoint: &'a str) -> Asked<'a> {
        Asked { what, endpoint, profile: &self.who, now: self.clock.now(), patience: PATIENCE }
    }

    /// Takes in the `Date` of an answer to what was asked at `began`.
    pub(super) fn learn_clock(&self, began: Timestamp, date: &str) {
        self.offset.lock().unwrap_or_else(PoisonError::into_inner).learn(began, self.now(), date);
    }

    /// How far this machine's clock is ahead of AWS's, as far as answers to the queries of
    /// this account say; zero where they agree.
    #[must_use]
    pub fn clock_offset(&self) -> TimeDelta {
        self.offset.lock().unwrap_or_else(PoisonError::into_inner).get()
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The same, with a profile's credentials and no others: the usual chain would look at
/// the environment's keys first, and show one account under another's name.
fn only(profile: &str, config: SdkConfig) -> SdkConfig {
    let mut settings = ProviderConfig::without_region()
        .with_region(config.region().cloned())
        .with_use_fips(config.use_fips())
        .with_use_dual_stack(config.use_dual_stack())
        .with_http_client(http_client(true));
    if let Some(timeouts) = config.timeout_config() {
        settings = settings.with_timeout_config(timeouts.clone());
    }
    let credentials = ProfileFileCredentialsProvider::builder().configure(&settings).profile_name(profile).build();
    config.into_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build()
}

/// A connector of its own, as [`http_client`] makes them.
fn connector(proxied: bool) -> Connector {
    let proxy = if proxied { ProxyConfig::from_env() } else { ProxyConfig::disabled() };
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).read_timeout(PATIENCE).build();
    Connector::builder()
        .proxy_config(proxy)
        .connector_settings(settings)
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build()
}

/// One crypto library for the whole program, and the proxy that the environment names.
fn http_client(proxied: bool) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let proxy = if proxied { ProxyConfig::from_env() } else { ProxyConfig::disabled() };
        let mut builder = Connector::builder().proxy_config(proxy);
        if let Some(settings) = settings {
            builder = builder.connector_settings(settings.clone());
        }
        builder.set_sleep_impl(
            components.and_then(aws_smithy_runtime_api::client::runtime_components::RuntimeComponents::sleep_impl),
        );
        builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
    })
}

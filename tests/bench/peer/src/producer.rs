//! What the peer's producer needs around itself.

use std::error::Error;
use std::sync::Arc;

use rocketmq_client_rust::{ClientConfig, ClientRuntime, ClientRuntimeConfig, DefaultMQProducer};
use rocketmq_observability::{TelemetryBootstrapConfig, TelemetryRuntimeGuard, install_global};
use rocketmq_runtime::{RuntimeConfig, RuntimeOwner};

use crate::arguments::Arguments;

/// Has to outlive the producer.
pub(crate) struct Home {
    client_runtime: Arc<ClientRuntime>,
    _owner: RuntimeOwner,
    _telemetry: TelemetryRuntimeGuard,
}

impl Home {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let owner = RuntimeOwner::plan(RuntimeConfig::default())?.build()?;
        let mut telemetry = TelemetryBootstrapConfig::default();
        telemetry.logging.enabled = false;
        let telemetry = install_global(&telemetry)?;
        let client_runtime = ClientRuntime::try_new(
            owner.root_context().component("client"),
            ClientRuntimeConfig::default(),
            telemetry.handle(),
        )?;
        Ok(Self {
            client_runtime,
            _owner: owner,
            _telemetry: telemetry,
        })
    }

    pub(crate) async fn start(
        &self,
        arguments: &Arguments,
    ) -> Result<DefaultMQProducer, Box<dyn Error>> {
        let mut config = ClientConfig::default();
        if let Some(roots) = &arguments.roots {
            config.set_use_tls(true);
            config.set_tls_test_mode_enable(false);
            config.set_tls_client_auth_server(true);
            config.set_tls_client_trust_cert_path(roots.display().to_string());
        }
        let compress_over = if arguments.compress { 4096 } else { u32::MAX };
        let mut producer = DefaultMQProducer::builder(self.client_runtime.clone())
            .client_config(config)
            .producer_group("bench")
            .name_server_addr(arguments.namesrv.clone())
            .compress_msg_body_over_howmuch(compress_over)
            .auto_batch(arguments.auto_batch)
            .build();
        producer.start().await?;
        Ok(producer)
    }
}

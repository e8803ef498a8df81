//! Takes over changed settings while the service runs.

use super::Service;
use crate::resources::{Kind, Resources};
use crate::settings::{Settings, SettingsSource};
use tagline_scanner::ScheduleOptions;

impl Service {
    /// From now on a `Settings` object that changes is taken over.
    pub(crate) fn follow_settings(&mut self, source: SettingsSource) {
        self.settings_source = Some(source);
    }

    /// Takes over what the files say about settings now. All of it counts from the next scan and the next run on,
    /// except for what is fixed for the life of the process, which is told.
    pub(super) fn take_settings(&mut self, resources: &Resources) {
        let Some(source) = &self.settings_source else {
            return;
        };
        let is_refused = |kind| {
            resources
                .refused
                .iter()
                .any(|refused| refused.key.kind == kind)
        };
        if is_refused(Kind::Settings) {
            tracing::warn!("the Settings object cannot be used; the settings stay as they were");
            return;
        }
        let settings = match source.resolve(resources) {
            Ok(settings) => settings,
            Err(error) => {
                tracing::error!("the settings stay as they were: {error:#}");
                return;
            }
        };
        let spec = |resources: &Resources| {
            resources
                .settings
                .as_ref()
                .map(|settings| settings.spec.clone())
        };
        if spec(&self.resources) != spec(resources) {
            tracing::info!("taking over changed settings");
        }
        if settings.storage_path != self.settings.storage_path {
            tracing::warn!(
                from = %self.settings.storage_path.display(),
                to = %settings.storage_path.display(),
                "storagePath has changed; restart to take it over"
            );
        }
        self.schedule.set_options(schedule_options(&settings));
        self.scanner.set_options(settings.scanner.clone());
        self.settings = Settings {
            storage_path: self.settings.storage_path.clone(),
            // It keeps the tokens it was given.
            clouds: self.settings.clouds.clone(),
            ..settings
        };
    }
}

pub(super) fn schedule_options(settings: &Settings) -> ScheduleOptions {
    ScheduleOptions {
        in_flight: settings.concurrent,
        jitter_permille: settings.jitter_permille,
        ..ScheduleOptions::default()
    }
}

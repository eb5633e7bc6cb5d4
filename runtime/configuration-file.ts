import { catalog } from "../components/catalog.ts";
import { type LoadedConfiguration, type LoadOptions, loadConfiguration } from "./config/load.ts";

/** The components that a configuration may name, and where its variables come from. */
export const loadOptions: LoadOptions = { known: catalog, environment: process.env };

/** Reads and checks a configuration file, or gives the defaults for undefined; throws ConfigurationError. */
export const load = (file: string | undefined): Promise<LoadedConfiguration> => loadConfiguration(file, loadOptions);

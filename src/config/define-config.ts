import type { SniwayConfig } from './sniway-config.ts';

/**
 * The configuration itself, unchanged: it lets editors and compilers check and complete what stands in a
 * `sniway.config.mts` or `.mjs` file, `export default defineConfig({ ... })`. Nothing is read or opened.
 */
export function defineConfig(config: SniwayConfig): SniwayConfig {
  return config;
}

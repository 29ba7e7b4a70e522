/** The public API of Sniway. */
export { createProxy } from './proxy.ts';
export type { CloseOptions, CloseResult, ProxyEvents, ReloadResult, SniProxy } from './sni-proxy.ts';
export { defineConfig } from './config/define-config.ts';
export type { EchConfig, EchRetryConfig, RouteEch } from './config/ech-settings.ts';
export type {
  AdminConfig,
  AnswerName,
  BackendConfig,
  CustomTlvConfig,
  DurationText,
  EjectConfig,
  EngineName,
  GuardConfig,
  HealthConfig,
  ListenerConfig,
  OneOrMany,
  PoliciesConfig,
  ProxyInConfig,
  ProxyOutConfig,
  ResolverConfig,
  RouteConfig,
  SniwayConfig,
  TimeoutsConfig,
  TlvsConfig,
} from './config/sniway-config.ts';
export type {
  CallContext,
  ClientInfo,
  HelloInfo,
  HookAnswer,
  Hooks,
  Rejection,
  RouteFunction,
  RouteVerdict,
  VerdictInfo,
} from './config/user-types.ts';
export { ConfigError, SniwayError } from './errors.ts';
export type { ConfigProblem, SniwayErrorCode } from './errors.ts';
export { END_REASONS } from './events.ts';
export type {
  BackendChange,
  BackendState,
  BoundAddress,
  ClientAddress,
  ConnectionCounts,
  ConnectionEnded,
  ConnectionOpened,
  EchBackend,
  EchKeyInfo,
  EchOffer,
  EndReason,
  LimitStats,
  NameStats,
  Notice,
  ProxyStats,
} from './events.ts';
export type { DiagnosticsMessages } from './library/diagnostics.ts';
export type {
  ClientsSnapshot,
  EchSnapshot,
  LimitsSnapshot,
  ListenerSnapshot,
  ProxySnapshot,
  RouteSnapshot,
} from './library/describe-proxy.ts';
export type { DrainOptions, DrainResult, ProxyOptions } from './library/surface.ts';
export { createMetrics } from './observability/metrics.ts';
export type { Metrics, MetricsOptions, MetricsSource } from './observability/metrics.ts';
export { createRouteTable } from './routing/route-table.ts';
export type {
  BuiltTable,
  OfferedProtocols,
  RouteCandidate,
  RoutePatterns,
  RouteProblem,
  RouteTable,
} from './routing/route-table.ts';
export type { ClientHello } from './wire/client-hello.ts';
export type { EchKind } from './wire/hello-layout.ts';
export { HelloReader, parseClientHello } from './wire/hello-reader.ts';
export type { HelloComplete, HelloErrorCode, HelloInvalid, HelloResult } from './wire/hello-reader.ts';
export { ALERTS } from './wire/tls-alert.ts';
export type { AlertName } from './wire/tls-alert.ts';

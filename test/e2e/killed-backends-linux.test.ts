import { describeKilledBackends } from './killed-backends.ts';

describeKilledBackends('linux');

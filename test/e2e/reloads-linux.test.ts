import { describeReloadedCommand } from './reloads.ts';

describeReloadedCommand('linux');

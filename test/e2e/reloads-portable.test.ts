import { describeReloadedCommand } from './reloads.ts';

describeReloadedCommand('portable');

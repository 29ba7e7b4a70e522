import { describeUpgrades } from './upgrades.ts';

describeUpgrades('linux');

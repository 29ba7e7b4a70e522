import { describeUpgrades } from './upgrades.ts';

describeUpgrades('portable');

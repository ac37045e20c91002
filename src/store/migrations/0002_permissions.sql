CREATE TABLE `permissions` (
	`id` text PRIMARY KEY NOT NULL,
	`session` text NOT NULL,
	`turn` text,
	`tool` text NOT NULL,
	`input` text NOT NULL,
	`sender` text,
	`asked_at` integer NOT NULL,
	`verdict` text,
	`way` text,
	`decided_by` text,
	`decided_at` integer
);
--> statement-breakpoint
CREATE INDEX `permissions_asked` ON `permissions` (`asked_at`);
<?php
/**
 * Installs WordPress in the folder that is the first argument, and prints its version.
 */

declare(strict_types=1);

define( 'WP_INSTALLING', true );
require $argv[1] . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

wp_install( 'Lab', 'admin', 'admin@example.org', true, '', 'password' );
$wp_rewrite->set_permalink_structure( '/%postname%/' );
$wp_rewrite->flush_rules();
echo $wp_version;

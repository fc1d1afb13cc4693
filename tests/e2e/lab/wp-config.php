<?php
/**
 * The configuration of every site: its constants lie beside its folder, where no visitor reads them.
 */

foreach ( json_decode( file_get_contents( dirname( __DIR__ ) . '/constants.json' ), true ) as $name => $value ) {
	define( $name, $value );
}
$table_prefix = 'wp_';
require_once ABSPATH . 'wp-settings.php';

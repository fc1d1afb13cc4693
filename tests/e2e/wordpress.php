<?php
/**
 * Does in WordPress what a test asks: a JSON list of [function, argument, …] on stdin.
 *
 * Prints the list of what they return, as JSON. The first argument is WordPress' folder.
 */

declare(strict_types=1);

require $argv[1] . '/wp-load.php';

/** What a visitor may read, by the name that a sync gives it: its address. */
function public_addresses(): array {
	$asked = array(
		'post_type'    => array( 'post', 'page' ),
		'post_status'  => 'publish',
		'has_password' => false,
		'numberposts'  => -1,
	);
	$found = array();
	foreach ( get_posts( $asked ) as $post ) {
		$found[ "{$post->post_type}-{$post->ID}" ] = get_permalink( $post );
	}
	return $found;
}

/** Lets a scheduled post's time come: cron publishes it, and its last change stays the day it was written. */
function let_appear( int $id ): void {
	global $wpdb;
	$dates = array(
		'post_date'         => wp_date( 'Y-m-d H:i:s' ),
		'post_date_gmt'     => gmdate( 'Y-m-d H:i:s' ),
		'post_modified'     => '2025-01-01 00:00:00',
		'post_modified_gmt' => '2025-01-01 05:00:00',
	);
	$wpdb->update( $wpdb->posts, $dates, array( 'ID' => $id ) );
	clean_post_cache( $id );
	check_and_publish_future_post( $id );
}

wp_set_current_user( 1 );
$results = array();
$wpdb->query( 'START TRANSACTION' ); // hundreds of posts wait for the disk once
foreach ( json_decode( stream_get_contents( STDIN ), true, 512, JSON_THROW_ON_ERROR ) as $call ) {
	$result = array_shift( $call )( ...$call );
	if ( is_wp_error( $result ) ) {
		fwrite( STDERR, $result->get_error_message() );
		exit( 1 );
	}
	$results[] = $result;
}
$wpdb->query( 'COMMIT' );
echo wp_json_encode( $results );
